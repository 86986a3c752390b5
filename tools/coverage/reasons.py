"""Why some of NumPy's functions refuse tensors: the reason first, then the names it holds for.

A function that is neither in the engine's tables nor here has an unknown state, and a test fails.
"""

from __future__ import annotations

__all__ = ["METHODS_REFUSED", "REFUSED"]

_REFUSED: dict[str, str] = {
    "makes a new array; a tensor can only be its `like=`, which says what kind of array to make": """
        np.arange np.array np.asanyarray np.asarray np.ascontiguousarray np.asfortranarray np.empty np.eye np.frombuffer
        np.fromfunction np.fromiter np.full np.identity np.ones np.require np.tri np.zeros""",
    "reads files or texts": "np.fromfile np.fromstring np.genfromtxt np.loadtxt",
    "dates": "np.busday_count np.busday_offset np.datetime_as_string np.is_busday",
    "structured arrays, which tensors do not hold": """
        np.lib.recfunctions.append_fields np.lib.recfunctions.apply_along_fields np.lib.recfunctions.assign_fields_by_name
        np.lib.recfunctions.drop_fields np.lib.recfunctions.find_duplicates np.lib.recfunctions.join_by np.lib.recfunctions.merge_arrays
        np.lib.recfunctions.rec_append_fields np.lib.recfunctions.rec_drop_fields np.lib.recfunctions.rec_join
        np.lib.recfunctions.recursive_fill_fields np.lib.recfunctions.rename_fields np.lib.recfunctions.repack_fields
        np.lib.recfunctions.require_fields np.lib.recfunctions.stack_arrays np.lib.recfunctions.structured_to_unstructured
        np.lib.recfunctions.unstructured_to_structured""",
    "numbers that happen to be equal in two arrays: any change parts them, so there is no derivative": "np.intersect1d",
    "deprecated: write np.isin": "np.in1d",
    "deprecated: write np.trapezoid": "np.trapz",
    "internal to NumPy, not to be called": "np._ones_like",
    "strings": """
        np._center np._expandtabs np._expandtabs_length np._ljust np._lstrip_chars np._lstrip_whitespace np._partition
        np._partition_index np._replace np._rjust np._rpartition np._rpartition_index np._rstrip_chars np._rstrip_whitespace
        np._slice np._strip_chars np._strip_whitespace np._zfill np.count np.endswith np.find np.index np.isalnum np.isalpha
        np.isdecimal np.isdigit np.islower np.isnumeric np.isspace np.istitle np.isupper np.rfind np.rindex np.startswith np.str_len
        np.char.equal np.char.greater np.char.greater_equal np.char.less np.char.less_equal np.char.not_equal np.strings._join
        np.strings._rsplit np.strings._split np.strings._splitlines np.strings.capitalize np.strings.center np.strings.decode
        np.strings.encode np.strings.expandtabs np.strings.ljust np.strings.lower np.strings.mod np.strings.multiply
        np.strings.partition np.strings.replace np.strings.rjust np.strings.rpartition np.strings.swapcase np.strings.title
        np.strings.translate np.strings.upper np.strings.zfill""",
}

REFUSED: dict[str, str] = {name: reason for reason, names in _REFUSED.items() for name in names.split()}

_WRONG_IN_NUMPY = "NumPy itself computes wrong values on processors with AVX-512 (2.4: `np.power.reduce([2.0, 3.0, 2.0])` is 4)"
_MIXED = "takes floats and integers: NumPy cannot fold it"
METHODS_REFUSED: dict[str, str] = {
    "np.power.reduce": _WRONG_IN_NUMPY,
    "np.power.reduceat": _WRONG_IN_NUMPY,
    "np.arctan2.reduce": _WRONG_IN_NUMPY,
    "np.arctan2.reduceat": _WRONG_IN_NUMPY,
    "np.ldexp.reduce": _MIXED,
    "np.ldexp.accumulate": _MIXED,
    "np.ldexp.reduceat": _MIXED,
}
