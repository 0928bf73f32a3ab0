//! A real RabbitMQ in a container.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, ContainerRequest, GenericImage, ImageExt};

use crate::eventually;

/// The name of the images that `ci/rabbitmq-image` creates, without the tag.
pub(crate) const IMAGE: &str = "hub-rabbitmq";
/// The environment variable with the tag of the image: `3` for the oldest supported RabbitMQ.
const VERSION: &str = "HUB_TEST_RABBITMQ";
/// The environment variable with the name of the test run. `ci/run-tests` sets it and removes the containers of interrupted tests.
const RUN: &str = "HUB_TEST_RUN";
/// The label of containers and networks with the name of the test run.
pub(crate) const RUN_LABEL: &str = "hub-tests.run";
/// The path of an additional configuration file.
const CONFIGURATION: &str = "/etc/rabbitmq/conf.d/90-test.conf";
/// Maximum number of attempts to start a broker on free ports.
const ATTEMPTS: u32 = 5;
/// The log line of a broker that has started.
const STARTED: &str = "Server startup complete";
/// The path of the list of enabled plugins.
const PLUGINS: &str = "/etc/rabbitmq/enabled_plugins";

/// Settings of the broker in addition to those of the image.
#[derive(Clone, Debug, Default)]
pub struct BrokerSettings {
    /// Lines of `rabbitmq.conf`.
    pub configuration: String,
    /// Files in the broker's container: path and content.
    pub files: Vec<(String, String)>,
    /// Whether it uses the host network instead of a port proxy, which reduces throughput and increases latency. It uses free ports,
    /// so that several brokers can run in parallel.
    pub on_host_network: bool,
}

impl BrokerSettings {
    /// The container to start, with these ports.
    fn image(&self, port: u16, tls_port: u16) -> ContainerRequest<GenericImage> {
        let image = GenericImage::new(IMAGE, &version()).with_wait_for(WaitFor::message_on_stdout(STARTED));
        let mut image = if self.on_host_network {
            on_host_network(image, port)
        } else {
            image.with_mapped_port(port, 5672.tcp()).with_mapped_port(tls_port, 5671.tcp())
        };
        if let Some(run) = run() {
            image = image.with_label(RUN_LABEL, run);
        }
        if !self.configuration.is_empty() {
            image = image.with_copy_to(CONFIGURATION, self.configuration.clone().into_bytes());
        }
        for (path, content) in &self.files {
            image = image.with_copy_to(path.clone(), content.clone().into_bytes());
        }
        image
    }
}

/// A broker. Its container is removed when this is dropped.
pub struct Broker {
    container: Container<GenericImage>,
    port: u16,
    tls_port: u16,
}

impl Broker {
    /// Starts a broker on a free port, which stays the same after restarts.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(BrokerSettings::default())
    }

    /// Starts a broker with these settings.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start_with(settings: BrokerSettings) -> Self {
        let mut attempt = 1;
        loop {
            // Another program may have taken the free port in the meantime.
            let (port, tls_port) = (free_port(), free_port());
            match settings.image(port, tls_port).start() {
                Ok(container) => return Self { container, port, tls_port },
                Err(error) if attempt < ATTEMPTS && format!("{error:?}").contains("port is already allocated") => {
                    attempt += 1;
                }
                Err(error) => panic!("the broker's container does not start: {error:?}"),
            }
        }
    }

    /// The id of the container.
    #[must_use]
    pub fn id(&self) -> &str {
        self.container.id()
    }

    /// The process id of the container's first process on this machine.
    ///
    /// # Panics
    /// If the container cannot be looked at.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let output = Command::new("docker")
            .args(["inspect", "--format", "{{.State.Pid}}", self.container.id()])
            .output()
            .expect("the container can be looked at");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().unwrap_or_else(|_| panic!("no process id of the broker: {text:?}"))
    }

    /// The port for TLS, if the settings enable it.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// The address for clients.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills the broker as a power failure would, and starts it again.
    ///
    /// # Panics
    /// If it does not come back.
    pub fn crash(&self) {
        self.container.stop_with_timeout(Some(0)).expect("the broker stops");
        self.start_again();
    }

    /// Raises the memory alarm, so that the broker blocks publishing.
    ///
    /// # Panics
    /// If it cannot be raised.
    pub fn block(&self) {
        self.control(&["set_vm_memory_high_watermark", "absolute", "1"]);
        eventually("the alarm is raised", || {
            let alarms = self.control(&["eval", "rabbit_alarm:get_alarms()."]);
            if alarms.contains("memory") { Ok(()) } else { Err(alarms) }
        });
    }

    /// Ends the memory alarm.
    ///
    /// # Panics
    /// If it cannot be ended.
    pub fn unblock(&self) {
        self.control(&["set_vm_memory_high_watermark", "0.6"]);
    }

    /// Waits until all queues with this prefix are empty.
    ///
    /// # Panics
    /// If queues still contain messages after the deadline.
    pub fn wait_until_queues_are_empty(&self, prefix: &str) {
        eventually("all queues are empty", || {
            let listed = self.control(&["list_queues", "--no-table-headers", "name", "messages"]);
            let own = listed.lines().filter(|line| line.starts_with(prefix)).map(str::to_owned);
            let left: Vec<String> = own.filter(|line| !line.ends_with("\t0")).collect();
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
    }

    /// Stops the broker and starts it again.
    ///
    /// # Panics
    /// If it does not come back.
    pub fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// Stops the broker.
    ///
    /// # Panics
    /// If it does not stop.
    pub fn stop(&self) {
        self.container.stop_with_timeout(Some(20)).expect("the broker stops");
    }

    /// Starts a stopped broker.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&self) {
        self.container.start().expect("the broker starts again");
        eventually("the broker answers again", || self.try_control(&["await_startup"]));
    }

    /// Runs `rabbitmqctl` and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn control(&self, arguments: &[&str]) -> String {
        self.try_control(arguments).expect("rabbitmqctl succeeds")
    }

    fn try_control(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("docker")
            .args(["exec", self.container.id(), "rabbitmqctl", "--quiet"])
            .args(arguments)
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Configures the host network, with this port for AMQP and free ports for the other listeners of a node. All listen on localhost only.
fn on_host_network(image: GenericImage, port: u16) -> ContainerRequest<GenericImage> {
    image
        .with_network("host")
        .with_env_var("RABBITMQ_NODENAME", "hub@localhost")
        .with_env_var("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .with_env_var("RABBITMQ_NODE_PORT", port.to_string())
        .with_env_var("RABBITMQ_DIST_PORT", free_port().to_string())
        .with_env_var("ERL_EPMD_PORT", free_port().to_string())
        // No plugins, since their ports cannot be configured in the same way for all images.
        .with_copy_to(PLUGINS, b"[].".to_vec())
        // No busy waiting in idle schedulers, as in the image of ci/rabbitmq-image: it would disturb measurements.
        .with_env_var("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none")
}

/// A free port.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// The name of the test run, if it is set.
pub(crate) fn run() -> Option<String> {
    std::env::var(RUN).ok()
}

/// The tag of the image.
pub(crate) fn version() -> String {
    std::env::var(VERSION).unwrap_or_else(|_| "4".to_owned())
}

/// Whether a broker can be started here.
pub(crate) fn is_usable() -> bool {
    Command::new("docker")
        .args(["image", "inspect", &format!("{IMAGE}:{}", version())])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The advice for a missing broker.
pub(crate) fn advice() -> String {
    let version = version();
    format!("No Docker, or no image {IMAGE}:{version}: run ci/rabbitmq-image {version}. Ignoring the broker tests.")
}
