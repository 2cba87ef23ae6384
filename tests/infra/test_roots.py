"""The roots that are linked into the binaries: the right ones, and not old."""

import datetime
import pathlib
import re
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# SHA-256, as https://www.amazontrust.com/repository/ publishes them.
FINGERPRINTS = {
    "Amazon Root CA 1": "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
    "Amazon Root CA 2": "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
    "Amazon Root CA 3": "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
    "Amazon Root CA 4": "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
    "Starfield Services Root Certificate Authority - G2": "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
}
# When the version of webpki-roots in Cargo.lock was looked at last: Mozilla changes its roots a few times a year.
MOZILLA_ROOTS = ("1.0", datetime.date(2026, 11, 24))
OLD = datetime.timedelta(days=730)


class TheRoots(unittest.TestCase):
    def test_of_amazon_are_those_that_it_publishes_and_end_in_more_than_a_year(self):
        certificates = x509.load_pem_x509_certificates((ROOT / "shared/src/aws/roots/amazon.pem").read_bytes())
        found = {}
        for certificate in certificates:
            name = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
            found[name] = certificate.fingerprint(hashes.SHA256()).hex()
            left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)
            self.assertGreater(left.days, 365, f"{name} ends soon: take the new one from amazontrust.com")
        self.assertEqual(found, FINGERPRINTS)

    def test_of_rds_are_self_signed_of_amazon_rds_and_end_in_more_than_a_year(self):
        certificates = x509.load_pem_x509_certificates((ROOT / "collector/src/store/postgres/roots/rds.pem").read_bytes())
        self.assertGreater(len(certificates), 80)
        for certificate in certificates:
            name = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
            self.assertRegex(name, r"^Amazon RDS [a-z]+-[a-z]+-\d Root CA (RSA2048|RSA4096|ECC384) G1$")
            self.assertEqual(certificate.subject, certificate.issuer)
            left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.timezone.utc)
            self.assertGreater(left.days, 365, f"{name} ends soon: take the new one from truststore.pki.rds.amazonaws.com")

    def test_of_mozilla_are_no_older_than_two_years(self):
        version, looked_at = MOZILLA_ROOTS
        locked = re.search(r'name = "webpki-roots"\nversion = "([^"]+)"', (ROOT / "Cargo.lock").read_text())[1]
        self.assertTrue(locked.startswith(version + "."), "a new webpki-roots: note the day in MOZILLA_ROOTS")
        self.assertLess(datetime.date.today() - looked_at, OLD, "run `cargo update -p webpki-roots` and note the day here")


if __name__ == "__main__":
    unittest.main()
