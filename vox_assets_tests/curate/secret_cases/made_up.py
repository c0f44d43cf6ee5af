"""Draws the random parts of made-up secrets, the same ones in every run."""

from __future__ import annotations

import base64
import json
import random
import string

from stdnum import iban, luhn
from stdnum.es import dni
from stdnum.fr import nir
from stdnum.iso7064 import mod_11_10
from stdnum.it import codicefiscale


class MadeUp:
    """A source of random parts; each call draws the next."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def _of(self, alphabet: str, count: int) -> str:
        return "".join(self._random.choices(alphabet, k=count))

    def alnum(self, count: int) -> str:
        """Letters of both cases and digits, each of the three present."""
        while True:
            drawn = self._of(string.ascii_letters + string.digits, count)
            if any(c.isdigit() for c in drawn) and any(c.isupper() for c in drawn):
                return drawn

    def lower(self, count: int) -> str:
        """Small letters and digits."""
        return self._of(string.ascii_lowercase + string.digits, count)

    def upper(self, count: int) -> str:
        """Capital letters and the digits 2 to 7."""
        return self._of(string.ascii_uppercase + "234567", count)

    def letters(self, count: int) -> str:
        """Letters of both cases."""
        return self._of(string.ascii_letters, count)

    def digits(self, count: int) -> str:
        """Digits; the first is not zero."""
        return self._of("123456789", 1) + self._of(string.digits, count - 1)

    def bech32(self, count: int) -> str:
        """Capital letters and digits of the Bech32 alphabet."""
        return self._of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", count)

    def hex(self, count: int) -> str:
        """Hexadecimal digits in small letters."""
        return self._of("0123456789abcdef", count)

    def base64(self, count: int) -> str:
        """The base64 form of so many random bytes."""
        return base64.b64encode(self._random.randbytes(count)).decode()

    def url64(self, count: int) -> str:
        """Characters of the base64 form for URLs."""
        return self._of(string.ascii_letters + string.digits + "-_", count)

    def uuid(self) -> str:
        """A random UUID of version 4."""
        raw = self.hex(32)
        return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"

    def jwt(self, **claims: object) -> str:
        """A signed JSON web token."""

        def part(content: object) -> str:
            return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

        claims = claims or {"sub": self.digits(9), "scope": "deploy"}
        return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.{self.url64(43)}"

    def pem(self, kind: str, lines: int = 4) -> str:
        """A private key in PEM form; `kind` stands before the words PRIVATE KEY."""
        body = "\n".join(self.base64(48) for _ in range(lines))
        rule = "-----"
        name = f"{kind} PRIVATE KEY".strip()
        return f"{rule}BEGIN {name}{rule}\nMIIE{body}\n{rule}END {name}{rule}"

    def card(self, prefix: str, length: int) -> str:
        """A card number with a correct check digit."""
        body = prefix + self._of(string.digits, length - len(prefix) - 1)
        return body + luhn.calc_check_digit(body)

    def iban(self, country: str, account: str) -> str:
        """An IBAN with correct check digits."""
        return country + iban.calc_check_digits(f"{country}00{account}") + account

    def tax_id_de(self) -> str:
        """A German tax id: ten digits, one of them twice, and a check digit."""
        places = self._random.sample(string.digits, 9)
        places.append(places[4])
        if places[0] == "0":
            places[0], places[1] = places[1], places[0]
        body = "".join(places)
        return body + mod_11_10.calc_check_digit(body)

    def dni(self) -> str:
        """A Spanish identity number with its letter."""
        body = self.digits(8)
        return body + dni.calc_check_digit(body)

    def nie(self) -> str:
        """A Spanish number of a foreigner with its letter."""
        body = self.digits(7)
        return f"Y{body}{dni.calc_check_digit('1' + body)}"

    def nir(self) -> str:
        """A French social security number with its key."""
        body = f"2{self._random.randint(50, 99)}07{self._random.randint(10, 89)}{self.digits(6)}"
        return body + nir.calc_check_digits(body)

    def codice_fiscale(self) -> str:
        """An Italian tax code with its check letter."""
        year, day = self._random.randint(50, 99), self._random.randint(10, 28)
        body = f"VRDLCU{year}C{day}F{self.digits(3)}"
        return body + codicefiscale.calc_check_digit(body)
