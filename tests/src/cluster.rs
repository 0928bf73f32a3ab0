//! A real RabbitMQ cluster of three nodes in containers on a separate network. Nodes can be killed and disconnected.
//!
//! Programs use the addresses of the nodes on that network, since a port proxy would still answer for a disconnected node.

use std::fs;
use std::process::Command;

use hub_engine::wire::Names;
use tokio::runtime::Runtime;

use crate::broker::{IMAGE, RUN_LABEL, run, version};
use crate::{Client, DEADLINE, eventually};

/// Number of nodes.
const NODES: usize = 3;
/// The settings of a cluster, as in `docs/operations.md`.
const CONFIGURATION: &str = "cluster_partition_handling = pause_minority\nnet_ticktime = 8\n";
/// The Erlang cookie of the nodes.
const COOKIE: &str = "hub-tests";
/// Prefix of the name of a network, which ends with the process id.
const PREFIX: &str = "hub-test-cluster";

/// Three nodes. Their containers are removed on drop.
pub struct Cluster {
    network: Network,
    nodes: Vec<Node>,
}

/// A network with assigned addresses. It is removed on drop.
struct Network {
    name: String,
    /// The first three numbers of its addresses.
    addresses: String,
}

/// A container. It is removed on drop.
struct Node {
    id: String,
    /// The name in the cluster.
    name: String,
    ip: String,
}

impl Cluster {
    /// Starts three nodes and joins them to a cluster.
    ///
    /// # Panics
    /// If they do not start.
    #[must_use]
    pub fn start() -> Self {
        let network = Network::create();
        let files = tempfile::tempdir().expect("a directory can be made");
        let directory = files.path().join("conf.d");
        fs::create_dir(&directory).expect("a directory can be made");
        fs::write(directory.join("90-test.conf"), CONFIGURATION).expect("a file can be written");
        let nodes: Vec<Node> =
            (1..=NODES).map(|number| Node::start(number, &network, &directory.to_string_lossy())).collect();
        let cluster = Self { network, nodes };
        for at in 0..NODES {
            cluster.await_startup(at);
        }
        for at in 1..NODES {
            cluster.control(at, &["stop_app"]);
            cluster.control(at, &["join_cluster", &cluster.nodes[0].name]);
            cluster.control(at, &["start_app"]);
        }
        cluster.is_whole();
        cluster
    }

    /// The addresses of all nodes, for clients.
    #[must_use]
    pub fn address(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| format!("{}:5672", node.ip)).collect();
        addresses.join(",")
    }

    /// Number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Always false.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Kills a node, as a power failure would.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(&self, at: usize) {
        docker(&["kill", &self.nodes[at].id]).expect("the node can be killed");
    }

    /// Starts a killed node and waits until the cluster is complete.
    ///
    /// # Panics
    /// If it does not come back.
    pub fn start_again(&self, at: usize) {
        docker(&["start", &self.nodes[at].id]).expect("the node starts again");
        self.await_startup(at);
        self.is_whole();
    }

    /// Disconnects a node from the other nodes and from the programs.
    ///
    /// # Panics
    /// If it cannot be disconnected.
    pub fn cut(&self, at: usize) {
        docker(&["network", "disconnect", &self.network.name, &self.nodes[at].id]).expect("the node can be cut off");
    }

    /// Reconnects a disconnected node and waits until the cluster is complete.
    ///
    /// # Panics
    /// If the cluster does not become complete.
    pub fn heal(&self, at: usize) {
        let Node { id, ip, name } = &self.nodes[at];
        let alias = name.trim_start_matches("rabbit@");
        docker(&["network", "connect", "--ip", ip, "--alias", alias, &self.network.name, id])
            .expect("the node can be connected");
        self.is_whole();
    }

    /// The node that this program, named with its process id as in the broker's listings, is connected to with both
    /// connections. `asked` is a node that is not away.
    ///
    /// # Panics
    /// If it is not connected, or to two nodes.
    #[must_use]
    pub fn node_of(&self, program: &str, asked: usize) -> usize {
        eventually(&format!("{program} has both connections on one node"), || {
            let listed =
                self.try_control(asked, &["list_connections", "--no-table-headers", "pid", "client_properties"])?;
            let own = listed.lines().filter(|line| line.contains(&format!("\"{program} (")));
            // The process id of a connection contains the name of its node: <rabbit@r1.…>.
            let node_of = |line: &str| self.nodes.iter().position(|node| line.starts_with(&format!("<{}.", node.name)));
            let nodes: Vec<Option<usize>> = own.map(node_of).collect();
            match nodes.as_slice() {
                [Some(one), Some(other)] if one == other => Ok(*one),
                _ => Err(listed),
            }
        })
    }

    /// Waits until the queues of the Hub with this prefix are empty. Its programs must have ended: what they had unsettled is
    /// back in the queues then. (Lists of queues are not asked: a node that was cut off may list what it had before.)
    ///
    /// # Panics
    /// If queues still contain messages after the deadline.
    pub fn wait_until_queues_are_empty(&self, prefix: &str) {
        let names = Names::new(prefix);
        let pool = names.pool_queue(hub_core::job::DEFAULT_POOL);
        let queues = [names.jobs_queue(), names.results_queue(), names.unrouted(), names.dead(), pool];
        let runtime = Runtime::new().expect("a runtime starts");
        let session = runtime.block_on(Client::Lapin.transport(&self.address()).connect()).expect("a node answers");
        eventually("all queues are empty", || {
            let ready = |queue: &String| runtime.block_on(session.ready(queue)).expect("the queue exists");
            let left: Vec<(&String, u64)> =
                queues.iter().map(|queue| (queue, ready(queue))).filter(|(_, ready)| *ready > 0).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
        // An error while closing the session does not matter.
        let _ = runtime.block_on(session.close(DEADLINE));
    }

    /// Waits until every node sees all nodes, and none is paused.
    fn is_whole(&self) {
        let seen = "length(rabbit_nodes:list_running()).";
        for at in 0..self.len() {
            eventually("the cluster is whole", || match self.try_control(at, &["eval", seen]) {
                Ok(count) if count.trim() == NODES.to_string() => Ok(()),
                other => Err(other),
            });
        }
    }

    fn await_startup(&self, at: usize) {
        eventually("the node serves", || self.try_control(at, &["await_startup"]));
    }

    /// Runs `rabbitmqctl` on a node and returns what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn control(&self, at: usize, arguments: &[&str]) -> String {
        self.try_control(at, arguments).expect("rabbitmqctl succeeds")
    }

    fn try_control(&self, at: usize, arguments: &[&str]) -> Result<String, String> {
        docker(&[&["exec", &self.nodes[at].id, "rabbitmqctl", "--quiet"], arguments].concat())
    }
}

impl Network {
    fn create() -> Self {
        let name = format!("{PREFIX}-{}", std::process::id());
        // Of the private addresses, some that hardly any network uses; the next ones where they are taken.
        let mut refused = String::new();
        for number in 0..32_u32 {
            let addresses = format!("10.213.{}", (std::process::id() + number) % 256);
            match docker(&["network", "create", "--label", &label(), "--subnet", &format!("{addresses}.0/24"), &name]) {
                Ok(_) => return Self { name, addresses },
                Err(error) => refused = error,
            }
        }
        panic!("no network can be made: {refused}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = docker(&["network", "rm", &self.name]);
    }
}

impl Node {
    fn start(number: usize, network: &Network, configuration: &str) -> Self {
        let (host, ip) = (format!("r{number}"), format!("{}.{}", network.addresses, 10 + number));
        let (container, name) = (format!("{}-{host}", network.name), format!("rabbit@{host}"));
        let node_name = format!("RABBITMQ_NODENAME={name}");
        // The settings of the image, and those of the cluster.
        let server =
            format!("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+sbwt none +sbwtdcpu none +sbwtdio none -setcookie {COOKIE}");
        let control = format!("RABBITMQ_CTL_ERL_ARGS=-setcookie {COOKIE}");
        let image = format!("{IMAGE}:{}", version());
        let created = docker(&[
            "create",
            "--name",
            &container,
            "--label",
            &label(),
            "--hostname",
            &host,
            "--network",
            &network.name,
            "--network-alias",
            &host,
            "--ip",
            &ip,
            "--env",
            &node_name,
            "--env",
            &server,
            "--env",
            &control,
            &image,
        ]);
        let id = created.expect("a container can be made").trim().to_owned();
        let node = Self { id, name, ip };
        docker(&["cp", configuration, &format!("{}:/etc/rabbitmq/", node.id)]).expect("it takes a configuration");
        docker(&["start", &node.id]).expect("the node starts");
        node
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", "--volumes", &self.id]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Remove the containers before the network.
        self.nodes.clear();
    }
}

/// The label of containers and networks with the name of the test run.
fn label() -> String {
    format!("{RUN_LABEL}={}", run().unwrap_or_default())
}

fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(arguments).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
