#!/usr/bin/env python3
"""Writes the address files that the tests of companies behind networks read: tests/vectors/networks/{ranges,lite}.mmdb.

Both have the fields of files that one can get: `ranges` those of range-level files (`company.domain`, `company.type`), `lite` those
of IPinfo Lite (`as_domain`, `as_name`), which says no type. The addresses are those for documentation (RFC 5737, RFC 3849); the
names of the access provider and of the hosting network in `lite` are real, since they are told by a list.

    pip install mmdb_writer==0.2.7
    tests/networks.py
"""
from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet

HERE = Path(__file__).resolve().parent


def company(name, domain, kind):
    return {"company": {"name": name, "domain": domain, "type": kind}, "asn": {"asn": "AS64500", "type": "isp"}}


def lite(name, domain):
    return {"asn": "AS64500", "as_name": name, "as_domain": domain, "country_code": "DE"}


FILES = {
    "ranges": [
        ("192.0.2.0/26", company("Northwind Traders", "northwind.example", "business")),
        ("192.0.2.64/26", company("Institute of Difference", "www.difference.example", "education")),
        ("198.51.100.0/24", company("Home Fibre", "fibre.example", "isp")),
        ("203.0.113.0/24", company("Cloud of Clouds", "clouds.example", "hosting")),
        ("2001:db8:1::/48", company("Northwind Traders", "northwind.example", "business")),
        ("192.0.2.128/26", company("Nobody", "", "business")),
    ],
    "lite": [
        ("192.0.2.0/26", lite("Northwind Traders", "northwind.example")),
        ("192.0.2.64/26", lite("Institute of Difference", "difference.example")),
        ("198.51.100.0/25", lite("Deutsche Telekom AG", "telekom.de")),
        ("198.51.100.128/25", lite("Smalltown Broadband", "smalltown.example")),
        ("203.0.113.0/24", lite("Amazon.com, Inc.", "amazon.com")),
    ],
}


def main():
    folder = HERE / "vectors/networks"
    folder.mkdir(exist_ok=True)
    for name, networks in FILES.items():
        writer = MMDBWriter(6, f"koala-test-{name}", languages=["en"], description="made by tests/networks.py", ipv4_compatible=True)
        for network, record in networks:
            writer.insert_network(IPSet([network]), record)
        writer.to_db_file(str(folder / f"{name}.mmdb"))
        print(f"tests/vectors/networks/{name}.mmdb: written")


if __name__ == "__main__":
    main()
