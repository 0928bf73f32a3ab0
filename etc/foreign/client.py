"""A client in Python and pika that shares no code with Hub: it submits a job and prints its output.

    python3 client.py amqp://localhost etc/jobs/sum_product.json --prefix hub
"""

import argparse
import json
import sys
import uuid

import pika


def parameters(address):
    """Parses `host`, `host:port` or an AMQP URL. The default virtual host is "/"."""
    address = address if "://" in address else "amqp://" + address
    return pika.URLParameters(address if address.count("/") > 2 else address + "/%2f")


class Client:
    def __init__(self, address, prefix):
        self.prefix = prefix
        self.channel = pika.BlockingConnection(parameters(address)).channel()
        # The broker chooses the name of this queue. The dispatcher does not answer to other queues.
        self.inbox = self.channel.queue_declare("", exclusive=True, auto_delete=True).method.queue
        self.channel.confirm_delivery()

    def ask(self, key, body, **properties):
        """Publishes a request or a submission and returns the answer to it."""
        question = uuid.uuid4().hex
        properties = pika.BasicProperties(reply_to=self.inbox, correlation_id=question, **properties)
        self.channel.basic_publish(self.prefix, key, body, properties, mandatory=True)
        for _, answer, text in self.channel.consume(self.inbox, auto_ack=True, inactivity_timeout=60):
            if answer is None:
                sys.exit("no dispatcher answered within 60 s")
            if answer.correlation_id == question:
                reply = json.loads(text)
                if "error" in reply:
                    sys.exit("refused: %s" % json.dumps(reply["error"]))
                return reply["ok"]

    def submit(self, text, name):
        """Submits a job. Submitting it again under the same name has no effect."""
        return self.ask("jobs", text, message_id=name, delivery_mode=2)["id"]

    def wait(self, job):
        """Waits for the end of a job and returns its record. It polls the summary, since a record may be large."""
        while True:
            summary = self.ask("requests", json.dumps({"v": 1, "type": "summary", "id": job, "wait_ms": 10000}))
            if summary["status"] in ("SUCCESS", "FAILED", "CANCELLED"):
                return self.ask("requests", json.dumps({"v": 1, "type": "job", "id": job}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="amqp://user:password@host:port/vhost")
    parser.add_argument("job", help="a job file")
    parser.add_argument("--prefix", default="hub", help="the Hub's prefix")
    parser.add_argument("--id", default=None, help="the job's id, a UUID; submitting again under the same id has no effect")
    options = parser.parse_args()
    client = Client(options.address, options.prefix)
    with open(options.job, encoding="utf-8") as file:
        job = client.submit(file.read(), options.id or str(uuid.uuid4()))
    record = client.wait(job)
    print(json.dumps({"id": job, "status": record["status"], "output": record.get("output")}))
    if record.get("msg"):
        print("job %s: %s" % (record["name"], record["msg"]), file=sys.stderr)
    sys.exit(0 if record["status"] == "SUCCESS" else 1)


if __name__ == "__main__":
    main()
