"""Finds personal data: e-mail addresses, cards, accounts, phone numbers, national ids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from stdnum import iban, luhn
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fr import nir
from stdnum.it import codicefiscale
from stdnum.us import ssn

from vox_assets.curate.secrets.examples import is_reserved
from vox_assets.curate.secrets.patterns import compiled

_MAIL = compiled(
    r"(?:^|[^\w.+%-])([\w.+-]{1,64})@"
    r"([A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.)+[A-Za-z]{2,24})\b(:[/~\w])?"
)
_SPELLED_MAIL = compiled(
    r"(?i)\b[\w.+-]{1,64} ?[\[({] ?at ?[\])}] ?"
    r"[a-z0-9-]{1,62}(?: ?[\[({] ?dot ?[\])}] ?|\.)[a-z]{2,24}\b"
)
# Mailboxes of a function, not of a person: RFC 2142, and senders that read no answer.
_ROLE = re.compile(
    r"(?:info|marketing|sales|support|abuse|noc|security|postmaster|hostmaster|usenet|news|"
    r"webmaster|www|uucp|ftp|git|hg|svn|no[-_.]?reply|do[-_.]?not[-_.]?reply|mailer[-_.]daemon|"
    r"admin|hello|contact|opensource|help|team|press|legal|privacy|dev|root|user|username|you|your[-_.]?\w*|me|"
    r"name|email|someone|somebody|foo|bar|test)",
    re.IGNORECASE,
)
# Ends of names of files, units and hosts of a network without owner.
_NO_DOMAIN = frozenset(
    "png jpg jpeg gif svg webp ico js ts jsx tsx mjs json html css yml yaml toml lock gz zip tar "
    "exe dll service timer socket target mount slice path corp home vox".split()
)

_CARD = compiled(r"(?:^|[^\w.+-])((?:[3-6]\d{3}|2[2-7]\d{2})(?:[ -]?\d){8,15})(?:[^\w.]|\.?$|\.\s)")
# Prefixes and lengths of Visa, Mastercard, American Express, Discover, JCB, Diners and UnionPay.
_ISSUER = re.compile(
    r"4\d{15}|4\d{12}|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}|"
    r"(?:6011|64[4-9]\d|65\d\d|35[2-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|62\d{14,17}"
)
# Lengths and a first digit that other numbers have as well count after one of these words only.
_CARD_WORDS = re.compile(r"card|visa|mastercard|amex|diners|maestro|\bpan\b", re.IGNORECASE)
_UNUSUAL = (13, 14, 17, 18, 19)
# Numbers that payment services publish for tests.
_TEST_CARDS = frozenset(
    "4242424242424242 4111111111111111 4012888888881881 4222222222222 4000056655665556 "
    "4000000000000002 4000002500003155 4000000000009995 4000000000003220 4000000000000077 "
    "5555555555554444 5105105105105100 2223003122003222 5200828282828210 2222400070000005 "
    "378282246310005 371449635398431 378734493671000 6011111111111117 6011000990139424 "
    "6011981111111113 30569309025904 38520000023237 3056930009020004 3566002020360505 "
    "3530111333300000 6200000000000005 6205500000000000004 4917610000000000 "
    "5425233430109903 4263982640269299 5454545454545454 4444333322221111 "
    "370000000000002 36006666333344 5019717010103742".split()
)

_IBAN = compiled(r"\b([A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?)\b")
# Examples of the IBAN registry and of documentation.
_SAMPLE_IBANS = frozenset(
    "GB82WEST12345698765432 GB29NWBK60161331926819 GB33BUKB20201555555555 DE89370400440532013000 "
    "DE75512108001245126199 FR1420041010050500013M02606 FR7630006000011234567890189 "
    "ES9121000418450200051332 ES7921000813610123456789 IT60X0542811101000000123456 "
    "NL91ABNA0417164300 NL20INGB0001234567 CH9300762011623852957 CH5604835012345678009 "
    "AT611904300234573201 AT483200000012345864 BE68539007547034 BE71096123456769 "
    "SE4550000000058398257466 SE7280000810340009783242 NO9386011117947 NO8330001234567 "
    "DK5000400440116243 DK9520000123456789 PL61109010140000071219812874 "
    "PL10105000997603123456789123 PT50000201231234567890154 PT50002700000001234567833 "
    "IE29AIBK93115212345678 IE64IRCE92050112345678 LU280019400644750000 LU120010001234567891 "
    "FI2112345600000785 FI1410093000123458 CZ6508000000192000145399 HU42117730161111101800000000 "
    "GR1601101250000000012300695 RO49AAAA1B31007593840000 SK3112000000198742637541".split()
)

_PHONE = compiled(r"(?:^|[^\w+=])(\+\d(?:[ ().\-/]{0,2}\d){6,14})(?:[^\w]|$)")
_NATIONAL = compiled(
    r"(?i)\b(?:phone|telephone|tel|mobile|cell|fax|whatsapp|call(?: me| him| her| us)?)\b"
    r"[^\n\w(+]{1,4}(\(?\d{2,5}\)?(?:[ .\-/]?\d{2,5}){1,4})(?:[^\w.]|\.?$|\.\s)"
)
# Numbers that regulators keep free: the FCC's 555-01xx, Ofcom's drama numbers, Arcep's, the
# Bundesnetzagentur's and ACMA's.
_FICTIONAL = re.compile(
    r"(?:1?\d{3})?555(?:01\d\d|1212)|(?:44|0)(?:7700900|2079460|1632960|8081570|9098790)\d+|"
    r"(?:44|0)(?:113|114|115|116|117|118|121|131|141|151|161|191)496\d+|"
    r"(?:33|0)(?:199|261|353|465|536)\d{6}|(?:33|0)6399[89]\d+|"
    r"(?:49|0)(?:302312\d+|6990009\d+|4066969\d+|22147140\d+|8999998\d+|15228817\d+|"
    r"15228895\d+|15228954\d+|1729925\d+|1749091\d+|17[019]\d*39200\d+)|(?:61|0)491570\d+|"
    r"(?:61|0)[2378]5550\d+|1?1?234567890\d?|0123456789|(\d{0,3})(?:0{7,}|1{7,})"
)

_SSN = compiled(
    r"(?i)(?:(?:^|[^\w.-])(\d{3}-\d{2}-\d{4})|"
    r"(?:ssn|social[ _-]?security)[^\n\d]{0,24}(\d{3}[- ]?\d{2}[- ]?\d{4}))(?:[^\w-]|$)"
)
_SAMPLE_IDS = frozenset(
    "123-45-6789 111-22-3333 078-05-1120 219-09-9999 457-55-5462 111-11-1111 222-22-2222 "
    "333-33-3333 "
    "444-44-4444 555-55-5555 777-77-7777 888-88-8888 12345678Z 00000000T 11111111H 99999999R "
    "X0000000T X1234567L Y1234567X AB123456C AB123456A AA123456A QQ123456C RSSMRA85T10A562S "
    "RSSMRA80A01H501U RSSMRA70A01H501S 86095742719 47036892816 65929970489 12345678911 "
    "255081416802538 269054958815780".split()
)
_SPANISH = compiled(r"(?:^|[^\w-])(\d{8}-?[A-Z]|[XYZ]-?\d{7}-?[A-Z])(?:[^\w-]|$)")
_FRENCH = compiled(
    r"(?:^|[^\w.-])([12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2})(?:[^\w.]|\.?$|\.\s)"
)
_BRITISH = compiled(
    r"(?:^|[^\w-])([A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D])(?:[^\w-]|$)"
)
_NO_BRITISH = ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")
_ITALIAN = compiled(r"(?:^|[^\w-])([A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z])(?:[^\w-]|$)")
# Eleven digits with a check digit are too common for a tax id without its name.
_GERMAN = compiled(
    r"(?i)(?:steuer[-_ ]?(?:id|nummer)|identifikationsnummer|\bidnr\b|steuerid|tax[-_ ]?id)"
    r"[^\n\d]{0,30}(\d{2} ?\d{3} ?\d{3} ?\d{3})(?:[^\w]|$)"
)

_HOME = re.compile(
    r"(?<![\w.])(?:/home/|/Users/|[A-Z]:\\{1,2}Users\\{1,2})([A-Za-z][\w.-]{0,63})(?![\w.-]*>)"
)
# Accounts of containers, runners, virtual machines and documentation.
_SHARED_ACCOUNTS = frozenset(
    "user users username user1 you your me name alice bob carol dave eve dev runner ubuntu root "
    "node app vscode circleci jenkins gitlab-runner git deploy admin administrator ec2-user "
    "vagrant debian core pi public default guest shared build builder ci test tester agent "
    "linuxbrew coder gitpod codespace codespaces jovyan sandbox service svc www-data nonroot "
    "worker foo bar example demo yourname your-name your_name youruser your-user myuser "
    "username1 cargo rust vox nix nixos postgres runneradmin containeruser azureuser "
    "all owner".split()
)


def personal_data_in(text: str) -> Iterator[str]:
    """Yield the kinds of personal data in a text."""
    if ("@" in text and any(_is_mail(match) for match in _MAIL.finditer(text))) or any(
        True for _ in _SPELLED_MAIL.finditer(text)
    ):
        yield "e-mail address"
    if ("/home/" in text or "Users" in text) and any(
        user.lower().rstrip(".") not in _SHARED_ACCOUNTS for user in _HOME.findall(text)
    ):
        yield "home directory"
    if any(_is_card(match, text) for match in _CARD.finditer(text)):
        yield "card number"
    if any(_is_account(match) for match in _IBAN.finditer(text)):
        yield "bank account"
    if any(_is_phone(match) for match in _PHONE.finditer(text)) or any(
        _is_called(match) for match in _NATIONAL.finditer(text)
    ):
        yield "phone number"
    if any(_is_national_id(text)):
        yield "national id"


def _is_mail(match: Any) -> bool:
    mailbox, domain, target = match.groups()
    end = domain.rsplit(".", 1)[1].lower()
    if len(mailbox) + len(domain.split(".")[0]) < 3:
        return False
    if target or end in _NO_DOMAIN or is_reserved(domain) or domain[0].isdigit():
        return False
    # An address before the host belongs to `tokens`.
    before = match.string[max(0, match.start(1) - 2) : match.start(1)]
    if before.endswith(("//", ":")) and "mailto" not in match.string[: match.start(1)][-8:]:
        return False
    return not _ROLE.fullmatch(mailbox.partition("+")[0]) and not domain.lower().startswith(
        "users.noreply."
    )


def _is_card(match: Any, text: str) -> bool:
    number = re.sub(r"[ -]", "", match.group(1))
    if not _ISSUER.fullmatch(number) or number in _TEST_CARDS or not luhn.is_valid(number):
        return False
    if len(set(number)) < 4 or number.endswith("00000000"):
        return False
    near = text[max(0, match.start() - 60) : match.start()]
    usual = len(number) not in _UNUSUAL and number[0] != "2"
    return usual or bool(_CARD_WORDS.search(near))


def _is_account(match: Any) -> bool:
    number = re.sub(r"[ -]", "", match.group(1))
    return number not in _SAMPLE_IBANS and iban.is_valid(number)


def _is_phone(match: Any) -> bool:
    import phonenumbers

    digits = re.sub(r"\D", "", match.group(1))
    if _FICTIONAL.fullmatch(digits):
        return False
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse("+" + digits))
    except phonenumbers.NumberParseException:
        return False


def _is_called(match: Any) -> bool:
    digits = re.sub(r"\D", "", match.group(1))
    return 9 <= len(digits) <= 12 and not _FICTIONAL.fullmatch(digits)


def _is_national_id(text: str) -> Iterator[bool]:
    for match in _SSN.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        number = f"{digits[:3]}-{digits[3:5]}-{digits[5:]}"
        yield _is_new(number) and ssn.is_valid(number)
    for match in _SPANISH.finditer(text):
        number = match.group(1).replace("-", "")
        yield _is_new(number) and (dni.is_valid(number) or nie.is_valid(number))
    for match in _FRENCH.finditer(text):
        yield _is_new(match.group(1).replace(" ", "")) and nir.is_valid(match.group(1))
    for match in _BRITISH.finditer(text):
        number = match.group(1).replace(" ", "")
        yield _is_new(number) and not number.startswith(_NO_BRITISH)
    for match in _ITALIAN.finditer(text):
        yield _is_new(match.group(1)) and codicefiscale.is_valid(match.group(1))
    for match in _GERMAN.finditer(text):
        yield _is_new(match.group(1).replace(" ", "")) and idnr.is_valid(match.group(1))


def _is_new(number: str) -> bool:
    return number not in _SAMPLE_IDS
