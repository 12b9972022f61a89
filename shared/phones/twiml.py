"""TwiML: what is said in a call, or sent back to whoever texted. Always well-formed, everything escaped."""

import re
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

MEDIA_TYPE: Final = "text/xml"
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, §2.2
_SECONDS: Final = "10"  # in which a key has to be pressed


def silence() -> str:
    """Nothing is sent back."""
    return _written(Element("Response"))


def message(text: str) -> str:
    """This is texted back; nothing where it is empty."""
    response = Element("Response")
    if text:
        SubElement(response, "Message").text = _clean(text)
    return _written(response)


def last_words(text: str) -> str:
    """This is said, and the call ends."""
    response = Element("Response")
    SubElement(response, "Say").text = _clean(text)
    SubElement(response, "Hangup")
    return _written(response)


def question(text: str, url: str, without_answer: str) -> str:
    """This is said twice, and the key that is pressed meanwhile or then is posted to the URL as `Digits`.

    `without_answer` is said when none is; the call ends then.
    """
    response = Element("Response")
    gather = SubElement(
        response, "Gather", action=_clean(url), method="POST", numDigits="1", timeout=_SECONDS, input="dtmf"
    )
    SubElement(gather, "Say").text = _clean(text)
    SubElement(gather, "Pause", length="1")
    SubElement(gather, "Say").text = _clean(text)
    SubElement(response, "Say").text = _clean(without_answer)
    SubElement(response, "Hangup")
    return _written(response)


def twice(text: str) -> str:
    """This is said twice."""
    response = Element("Response")
    SubElement(response, "Say").text = _clean(text)
    SubElement(response, "Pause", length="1")
    SubElement(response, "Say").text = _clean(text)
    SubElement(response, "Hangup")
    return _written(response)


def _clean(text: str) -> str:
    return _NOT_XML.sub(" ", text)


def _written(response: Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>' + tostring(response, encoding="unicode")
