from tests.servers.broker import Broker
from tests.servers.postgres import PostgresServer


def test_a_test_gets_an_empty_database_of_its_own(postgres: PostgresServer, database_url: str) -> None:
    assert postgres.run_sql(f"SELECT count(*) FROM pg_database WHERE datname = '{database_url[-13:]}'") == "1"


def test_postgresql_comes_back_with_its_data_on_the_same_port(
    postgres: PostgresServer, database_url: str
) -> None:
    postgres.stop()
    postgres.start()

    assert postgres.run_sql(f"SELECT count(*) FROM pg_database WHERE datname = '{database_url[-13:]}'") == "1"


def test_kafka_comes_back_on_the_same_port(kafka: Broker) -> None:
    before = kafka.bootstrap_servers

    kafka.stop()
    kafka.start()

    assert kafka.bootstrap_servers == before
