"""What a person does to a source file, done by a script: one function changed, a file reformatted."""

import re

# How a function begins, and how a line that changes nothing but its tokens is written.
BEGINS = {
    "go": r"^func {name}\(.*\{{$",
    "python": r"^def {name}\(",
    "javascript": r"^(?:export )?(?:(?:async )?function\*? {name}\(.*\{{|const {name} = .*=> \{{)$",
}
LINES = {"go": "\t_ = {number}", "python": "    _ = {number}", "javascript": "  void {number}"}
HELPERS = {
    "go": r"^func ([a-z]\w*)\(.*\{$",
    "python": r"^def (_\w+)\(",
    "javascript": r"^(?:function (\w+)\(.*\{|const (\w+) = .*=> \{)$",
}


class NoPlace(ValueError):
    """There is no such function, or no place in it where a line could go."""


def edited(language, text, name, number):
    """The text with one more statement in the function, or another number in the one put there."""
    lines = text.split("\n")
    begins = re.compile(BEGINS[language].format(name=re.escape(name)))
    start = next((at for at, line in enumerate(lines) if begins.match(line)), None)
    if start is None:
        raise NoPlace(f"no function `{name}`")
    at = start + 1 if language != "python" else before_return(lines, start)
    ours = re.compile("^" + re.escape(LINES[language]).replace(r"\{number\}", r"\d+") + "$")
    line = LINES[language].format(number=number)
    # In Python the line is the one before the return.
    there = at - 1 if language == "python" else at
    if ours.match(lines[there]):
        lines[there] = line
    else:
        lines.insert(at, line)
    return "\n".join(lines)


def before_return(lines, start):
    """Where the first `return` of the function's own level stands: no docstring is in the way."""
    for at in range(start + 1, len(lines)):
        if re.match(r"^ {4}return\b", lines[at]):
            return at
        if re.match(r"^[^\s)#]", lines[at]):
            break
    raise NoPlace("no `return`")


def helpers(language, text):
    """Functions that are not public and that something else in the file uses."""
    for found in re.finditer(HELPERS[language], text, re.MULTILINE):
        name = next(group for group in found.groups() if group)
        if len(re.findall(rf"\b{re.escape(name)}\b", text)) > 1:
            yield name


def reformatted(text, number):
    """The same tokens with other blank lines between what stands at the margin."""
    return re.sub(r"\n{2,}(?=\S)", "\n" * (2 + number), text)
