# Flattens JSON into lines "path<TAB>value" for a shell that cannot read JSON.
# Keys of a path are joined by "/", array elements have their number (from 0).
# In keys and values a backslash is written \\, a line feed \n, a tab \t and a
# carriage return \r; in keys "/" is \x2f. printf '%b' of the shell turns a
# value back. Any other text, all of \uXXXX included, comes out as UTF-8.
# Exits with 1 when the input is not one JSON value.

{ text = text $0 "\n" }

END {
    at = 1
    if (!value("") || !spaces() || at <= length(text)) exit 1
}

function spaces() {
    while (at <= length(text) && index(" \t\r\n", substr(text, at, 1))) at++
    return 1
}

function value(path,    c) {
    spaces()
    c = substr(text, at, 1)
    if (c == "{") return object(path)
    if (c == "[") return array(path)
    if (c == "\"") {
        if (!string(0)) return 0
        print path "\t" word
        return 1
    }
    if (!match(substr(text, at, 64), /^(true|false|null|-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?)/)) return 0
    print path "\t" substr(text, at, RLENGTH)
    at += RLENGTH
    return 1
}

function object(path,    key) {
    at++
    spaces()
    if (substr(text, at, 1) == "}") { at++; return 1 }
    while (1) {
        spaces()
        if (!string(1)) return 0
        key = word
        spaces()
        if (substr(text, at, 1) != ":") return 0
        at++
        if (!value(path (path == "" ? "" : "/") key)) return 0
        spaces()
        if (substr(text, at, 1) == "}") { at++; return 1 }
        if (substr(text, at, 1) != ",") return 0
        at++
    }
}

function array(path,    n) {
    at++
    spaces()
    if (substr(text, at, 1) == "]") { at++; return 1 }
    for (n = 0; ; n++) {
        if (!value(path (path == "" ? "" : "/") n)) return 0
        spaces()
        if (substr(text, at, 1) == "]") { at++; return 1 }
        if (substr(text, at, 1) != ",") return 0
        at++
    }
}

# Reads a string at the present place into the variable "word", escaped for output.
function string(is_key,    c, run) {
    word = ""
    if (substr(text, at, 1) != "\"") return 0
    at++
    while (at <= length(text)) {
        run = substr(text, at, 512)
        if (match(run, /^[^"\\\/\t\n\r]+/)) { word = word substr(run, 1, RLENGTH); at += RLENGTH; continue }
        c = substr(text, at, 1)
        at++
        if (c == "\"") return 1
        if (c == "/") { word = word (is_key ? "\\x2f" : "/"); continue }
        if (c != "\\" || !escape(is_key)) return 0
    }
    return 0
}

function escape(is_key,    c) {
    c = substr(text, at, 1)
    at++
    if (c == "n") word = word "\\n"
    else if (c == "t") word = word "\\t"
    else if (c == "r") word = word "\\r"
    else if (c == "\\") word = word "\\\\"
    else if (c == "/") word = word (is_key ? "\\x2f" : "/")
    else if (c == "\"") word = word c
    else if (c == "b" || c == "f") word = word " "
    else if (c == "u") return unicode(is_key)
    else return 0
    return 1
}

function unicode(is_key,    code, low) {
    code = hex4()
    if (code < 0) return 0
    if (code >= 55296 && code <= 56319 && substr(text, at, 2) == "\\u") {
        at += 2
        low = hex4()
        if (low < 56320 || low > 57343) return 0
        code = 65536 + (code - 55296) * 1024 + low - 56320
    }
    if (code == 10) word = word "\\n"
    else if (code == 9) word = word "\\t"
    else if (code == 13) word = word "\\r"
    else if (code == 92) word = word "\\\\"
    else if (code == 47) word = word (is_key ? "\\x2f" : "/")
    else if (code < 32) word = word " "
    else word = word utf8(code)
    return 1
}

function hex4(    i, digit, sum) {
    for (i = 0; i < 4; i++) {
        digit = index("0123456789abcdef", tolower(substr(text, at++, 1))) - 1
        if (digit < 0) return -1
        sum = sum * 16 + digit
    }
    return sum
}

function utf8(code) {
    if (code < 128) return sprintf("%c", code)
    if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
    if (code < 65536)
        return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
    return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64, 128 + code % 64)
}
