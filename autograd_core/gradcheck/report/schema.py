"""The JSON that `Report.to_json` writes, as a JSON Schema (draft 2020-12): what each field means, and which are always there."""

from __future__ import annotations

from typing import Any

__all__ = ["SCHEMA", "VERSION"]

VERSION = 1  # of the schema; a change that readers would notice gets a new number

# JSON has no nan, no infinities and no complex numbers: these are strings, such as "nan", "inf" or "(1+2j)".
_NUMBER: dict[str, Any] = {"type": ["number", "string", "null"]}

_FINDING: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"type": "integer", "minimum": 1, "description": "of the derivative that is wrong"},
        "argument": {"type": "string", "description": 'its name; "" if it is no single one\'s'},
        "element": {"type": "array", "items": {"type": "integer"}, "description": "index of the worst element of the argument"},
        "cause": {"type": "string", "description": "a word of autograd_core.gradcheck.report.causes.CAUSES"},
        "title": {"type": "string", "description": "the cause in words"},
        "message": {"type": "string", "description": "what is wrong, in a sentence"},
        "evidence": {"type": "string", "description": "what speaks for the cause"},
        "mend": {"type": "string", "description": "what to do about it"},
        "given": {**_NUMBER, "description": "the claimed derivative; null where no number is wrong"},
        "expected": {**_NUMBER, "description": "the numeric one"},
        "bound": {**_NUMBER, "description": "how far the numeric one may be off"},
        "value": {**_NUMBER, "description": "the argument's element there"},
        "variation": {"type": "string", "description": '"as given", or what was changed'},
        "also": {"type": "array", "items": {"type": "string"}, "description": "other variations at which it is wrong"},
        "wrong": {"type": "integer", "minimum": 0, "description": "how many elements are wrong"},
        "compared": {"type": "integer", "minimum": 0, "description": "of how many"},
        "serious": {"type": "boolean", "description": "false for a warning"},
        "reproducer": {"type": "string", "description": 'Python code that shows it again; "" if too long'},
    },
}
_FINDING["required"] = list(_FINDING["properties"])
_FINDING["additionalProperties"] = False

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "gradcheck report",
    "type": "object",
    "properties": {
        "schema": {"const": VERSION},
        "name": {"type": "string", "description": "of the function"},
        "order": {"type": "integer", "minimum": 1, "description": "up to which order derivatives were checked"},
        "seed": {"type": "integer", "description": "of everything random"},
        "ok": {"type": "boolean", "description": "whether nothing is wrong"},
        "compared": {"type": "integer", "minimum": 0, "description": "how many derivatives were compared"},
        "variations": {"type": "integer", "minimum": 0, "description": "at how many places"},
        "seconds": {"type": "number", "minimum": 0},
        "arguments": {"type": "array", "items": {"type": "string"}, "description": "names of the differentiable arguments"},
        "findings": {"type": "array", "items": _FINDING, "description": "what is wrong, the most telling first"},
        "warnings": {"type": "array", "items": _FINDING, "description": "what is not wrong but worth knowing"},
        "notes": {"type": "array", "items": {"type": "string"}, "description": "what could not be decided, was skipped or left out, and why"},
    },
}
SCHEMA["required"] = list(SCHEMA["properties"])
SCHEMA["additionalProperties"] = False
