//! Tests of TLS connections to a real RabbitMQ, with a chain of certificates, both AMQP clients and the real programs: valid
//! certificates are accepted, others are refused with the cause, and no password is shown.

use std::process::{ExitCode, Output};

use hub_tests::{
    Authority, Broker, BrokerSettings, BrokerTrial, Certificate, Client, Programs, check_manual_record, eventually,
    example, trials_on,
};

fn main() -> ExitCode {
    let tests: [(&str, TlsTest); 7] = [
        ("whom_the_authority_vouches_for_is_trusted", trusted),
        ("an_authority_that_is_not_the_brokers_is_refused", wrong_authority),
        ("a_name_that_is_not_the_brokers_is_refused", wrong_name),
        ("a_client_with_a_certificate_gets_in_where_one_is_wanted", client_certificate),
        ("a_client_without_a_certificate_does_not", no_certificate),
        ("a_client_with_a_certificate_of_another_authority_is_refused", strange_certificate),
        ("a_wrong_password_is_refused", wrong_password),
    ];
    let mut trials = Vec::new();
    for client in [Client::Lapin, Client::Amqprs] {
        for (name, test) in tests {
            trials.push(BrokerTrial::new(format!("{name}_with_{client}"), move |secure: &Secure| test(secure, client)));
        }
    }
    trials_on(Secure::start, trials)
}

type TlsTest = fn(&Secure, Client);

const USER: &str = "alice";
/// A password with all characters that must be escaped in an address.
const PASSWORD: &str = "pass/w:o@rd secret";
/// The escaped password.
const IN_ADDRESS: &str = "pass%2Fw%3Ao%40rd%20secret";
/// A part of the password that must not be shown anywhere.
const SECRETS: [&str; 4] = [PASSWORD, IN_ADDRESS, "o@rd", "secret"];

/// Brokers with TLS, and the authority of their certificate.
struct Secure {
    authority: Authority,
    /// A broker that requires only a password.
    open: Broker,
    /// A broker that also requires a client certificate.
    demanding: Broker,
}

impl Secure {
    fn start() -> Self {
        let authority = Authority::found("Hub's tests");
        let server = authority.server("localhost");
        let open = start(&authority, &server, "verify_none", false);
        let demanding = start(&authority, &server, "verify_peer", true);
        Self { authority, open, demanding }
    }

    /// Programs that connect to a broker with this host name and trust this authority.
    fn programs(&self, broker: &Broker, host: &str, trusted: &Authority, client: Client) -> Programs {
        let address = format!("amqps://{USER}:{IN_ADDRESS}@{}", host.replace("PORT", &broker.tls_port().to_string()));
        let programs = Programs::new(&address, client.name(), &format!("tls-{client}"));
        let file = programs.directory().join("authority.pem");
        std::fs::write(&file, trusted.pem()).unwrap();
        programs.with("HUB_CA_FILE", &file.to_string_lossy())
    }
}

fn start(authority: &Authority, server: &Certificate, verify: &str, wanted: bool) -> Broker {
    let configuration = format!(
        "listeners.ssl.default = 5671\n\
         ssl_options.cacertfile = /etc/rabbitmq/authority.pem\n\
         ssl_options.certfile = /etc/rabbitmq/server.pem\n\
         ssl_options.keyfile = /etc/rabbitmq/server.key\n\
         ssl_options.verify = {verify}\n\
         ssl_options.fail_if_no_peer_cert = {wanted}\n"
    );
    let file = |name: &str, text: &str| (format!("/etc/rabbitmq/{name}"), text.to_owned());
    let files = vec![
        file("authority.pem", authority.pem()),
        file("server.pem", &server.chain),
        file("server.key", &server.key),
    ];
    let broker = Broker::start_with(BrokerSettings { configuration, files, ..BrokerSettings::default() });
    broker.control(&["add_user", USER, PASSWORD]);
    broker.control(&["set_permissions", USER, ".*", ".*", ".*"]);
    broker
}

/// Adds a client certificate of this authority.
fn with_certificate(programs: Programs, authority: &Authority) -> Programs {
    let files = authority.client(USER).write(programs.directory(), "client");
    programs
        .with("HUB_CLIENT_CERT_FILE", &files.chain.to_string_lossy())
        .with("HUB_CLIENT_KEY_FILE", &files.key.to_string_lossy())
}

/// Checks that a complete Hub works over this connection.
fn works(programs: &Programs) {
    let (dispatcher, worker) = programs.start_both();
    let record = programs.ended(&programs.submit(&example("sum_product.json")));
    check_manual_record(&record);
    discreet(&text(&programs.run("hub-client", &["--trace", "health"])));
    for daemon in [worker, dispatcher] {
        discreet(&daemon.log());
        daemon.stop();
    }
}

/// Checks that the handshake fails and all programs report the cause.
fn is_refused(programs: &Programs, cause: &str) {
    says(programs, &format!("the TLS handshake failed: {cause}"));
}

/// Checks that all programs are refused and print this message.
fn says(programs: &Programs, cause: &str) {
    let output = programs.run("hub-client", &["--trace", "health"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains(cause), "{cause:?} is not in: {said}");
    discreet(&said);
    for (program, arguments) in [("hub-dispatcher", &[][..]), ("hub-worker", &["--tasks-dir", "."])] {
        let mut daemon = programs.start(program, arguments);
        eventually("the program says why it is refused, or gives up", || {
            let log = daemon.log();
            if log.contains(cause) { Ok(()) } else { Err(log) }
        });
        discreet(&daemon.log());
        assert!(!daemon.log().contains("listening") && !daemon.log().contains("waiting"), "{}", daemon.log());
        let _ = daemon.is_alive();
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Checks that a text does not contain the password.
fn discreet(text: &str) {
    assert!(!text.is_empty(), "nothing was said at all");
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret:?} is in: {text}");
    }
}

fn trusted(secure: &Secure, client: Client) {
    works(&secure.programs(&secure.open, "localhost:PORT", &secure.authority, client));
    let elsewhere = "127.0.0.1:PORT/%2f?server_name_indication=localhost";
    works(&secure.programs(&secure.open, elsewhere, &secure.authority, client));
    // With several nodes, each certificate must have the name of its node: the first node is refused, and the second one is used.
    let several = "127.0.0.1:PORT,localhost:PORT";
    works(&secure.programs(&secure.open, several, &secure.authority, client));
}

fn wrong_authority(secure: &Secure, client: Client) {
    let namesake = Authority::found("Hub's tests");
    for (other, cause) in [(namesake, "BadSignature"), (Authority::found("somebody else"), "UnknownIssuer")] {
        let programs = secure.programs(&secure.open, "localhost:PORT", &other, client);
        is_refused(&programs, &format!("invalid peer certificate: {cause}"));
    }
}

fn wrong_name(secure: &Secure, client: Client) {
    for host in ["127.0.0.1:PORT", "localhost:PORT?server_name_indication=broker.example"] {
        let programs = secure.programs(&secure.open, host, &secure.authority, client);
        is_refused(&programs, "invalid peer certificate: certificate not valid for name");
    }
}

fn client_certificate(secure: &Secure, client: Client) {
    let programs = secure.programs(&secure.demanding, "localhost:PORT", &secure.authority, client);
    works(&with_certificate(programs, &secure.authority));
}

fn no_certificate(secure: &Secure, client: Client) {
    let programs = secure.programs(&secure.demanding, "localhost:PORT", &secure.authority, client);
    is_refused(&programs, "received fatal alert: CertificateRequired");
}

fn strange_certificate(secure: &Secure, client: Client) {
    let programs = secure.programs(&secure.demanding, "localhost:PORT", &secure.authority, client);
    let programs = with_certificate(programs, &Authority::found("somebody else"));
    is_refused(&programs, "received fatal alert: UnknownCA");
}

fn wrong_password(secure: &Secure, client: Client) {
    let programs = secure.programs(&secure.open, "localhost:PORT", &secure.authority, client);
    secure.open.control(&["change_password", USER, "another one"]);
    // amqprs does not announce the capability to receive the reason.
    let cause = if client == Client::Lapin { "ACCESS_REFUSED" } else { "closed the connection during the login" };
    says(&programs, cause);
    secure.open.control(&["change_password", USER, PASSWORD]);
}
