//! A real RabbitMQ in a container.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, ContainerRequest, GenericImage, ImageExt};

use crate::eventually;

/// The images that `ci/rabbitmq-image` makes, but for their tags.
pub(crate) const IMAGE: &str = "hub-rabbitmq";
/// Names another tag than that of the newest: `3`, for the oldest RabbitMQ that Hub works with.
const VERSION: &str = "HUB_TEST_RABBITMQ";
/// Names the run of the tests, as `ci/run-tests` sets it: it removes what an interrupted test has left.
const RUN: &str = "HUB_TEST_RUN";
/// The label of containers and networks that holds it.
pub(crate) const RUN_LABEL: &str = "hub-tests.run";
/// Where a configuration goes that is read after the image's own.
const CONFIGURATION: &str = "/etc/rabbitmq/conf.d/90-test.conf";
/// Maximum number of attempts to start a broker on free ports.
const ATTEMPTS: u32 = 5;
/// What the broker says when it serves.
const STARTED: &str = "Server startup complete";
/// Where a broker finds which of its plugins it shall start.
const PLUGINS: &str = "/etc/rabbitmq/enabled_plugins";

/// The broker's own settings, where they differ from those of the image.
#[derive(Clone, Debug, Default)]
pub struct BrokerSettings {
    /// Lines of `rabbitmq.conf`.
    pub configuration: String,
    /// Files in the broker's container: path and content.
    pub files: Vec<(String, String)>,
    /// Whether it uses this machine's network itself, instead of a port proxy, which costs throughput and latency.
    /// Its ports are free ones, so that several can run side by side.
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

/// A broker, gone when this goes.
pub struct Broker {
    container: Container<GenericImage>,
    port: u16,
    tls_port: u16,
}

impl Broker {
    /// Starts a broker on a free port, which it keeps over restarts.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(BrokerSettings::default())
    }

    /// The same with these settings.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start_with(settings: BrokerSettings) -> Self {
        let mut attempt = 1;
        loop {
            // A port that was free a moment ago may have been taken for something else.
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

    /// The container, as Docker knows it.
    #[must_use]
    pub fn id(&self) -> &str {
        self.container.id()
    }

    /// The process, on this machine, that all of the broker's others are below.
    ///
    /// # Panics
    /// Where the container cannot be looked at.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let output = Command::new("docker")
            .args(["inspect", "--format", "{{.State.Pid}}", self.container.id()])
            .output()
            .expect("the container can be looked at");
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().unwrap_or_else(|_| panic!("no process id of the broker: {text:?}"))
    }

    /// The port where it speaks TLS, if its settings say so.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// The address, as clients write it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills the broker as a power failure would, and starts it again.
    ///
    /// # Panics
    /// Where it does not come back.
    pub fn crash(&self) {
        self.container.stop_with_timeout(Some(0)).expect("the broker stops");
        self.start_again();
    }

    /// Raises the memory alarm: from then on the broker takes no messages.
    ///
    /// # Panics
    /// Where it cannot be raised.
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
    /// Where it cannot be ended.
    pub fn unblock(&self) {
        self.control(&["set_vm_memory_high_watermark", "0.6"]);
    }

    /// Waits until all queues with this prefix are empty.
    ///
    /// # Panics
    /// Where they do not become so, with what is in them.
    pub fn nothing_is_left(&self, prefix: &str) {
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
    /// Where it does not come back.
    pub fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// Stops the broker.
    ///
    /// # Panics
    /// Where it does not stop.
    pub fn stop(&self) {
        self.container.stop_with_timeout(Some(20)).expect("the broker stops");
    }

    /// Starts a stopped broker.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_again(&self) {
        self.container.start().expect("the broker starts again");
        eventually("the broker answers again", || self.try_control(&["await_startup"]));
    }

    /// Runs `rabbitmqctl` and returns what it printed.
    ///
    /// # Panics
    /// Where it fails.
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

/// On the network of this machine, reachable from nowhere else: the broker's own port, and free ones for what else a
/// node of RabbitMQ listens on.
fn on_host_network(image: GenericImage, port: u16) -> ContainerRequest<GenericImage> {
    image
        .with_network("host")
        .with_env_var("RABBITMQ_NODENAME", "hub@localhost")
        .with_env_var("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .with_env_var("RABBITMQ_NODE_PORT", port.to_string())
        .with_env_var("RABBITMQ_DIST_PORT", free_port().to_string())
        .with_env_var("ERL_EPMD_PORT", free_port().to_string())
        // What a plugin listens on cannot be chosen for all images alike.
        .with_copy_to(PLUGINS, b"[].".to_vec())
        // As in the image that ci/rabbitmq-image makes, whichever image it is: schedulers that spin while they are
        // idle would take the processor from those who are measured beside them.
        .with_env_var("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none")
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// The run of the tests that this is part of, if it has a name.
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

/// How to get one.
pub(crate) fn advice() -> String {
    let version = version();
    format!("No Docker, or no image {IMAGE}:{version}: run ci/rabbitmq-image {version}. Ignoring the broker tests.")
}
