"""A wrong configuration is refused by both programs: exit status 78, nothing on
stdout, and one line on stderr that says where and why. Nothing is taken in
silence."""

import concurrent.futures
import os
import pathlib
import re

import net as daemons
import pytest
from net import free_port

PROGRAMS = [daemons.SEED, daemons.PEER]
BOTH = pytest.mark.parametrize("program", PROGRAMS, ids=["seed", "peer"])
SHIPPED = pathlib.Path(__file__).parents[2] / "config.ini"

SEEDS = b"[seeds]\nnode1 = 127.0.0.1:5345\n"  # what follows starts in line 3

# name: the file, the line that is blamed, a part of the reason
BAD_FILES = {
    # bytes
    "byte order mark": (b"\xef\xbb\xbf" + SEEDS, 1, "byte order mark"),
    "byte order mark of UTF-16": (b"\xff\xfe" + SEEDS, 1, "UTF-8"),
    "NUL in a value": (b"[seeds]\nnode1 = 127.0.0.1:5345\0\n", 2, "0x00"),
    "NUL in a comment": (SEEDS + b"# \0\n", 3, "0x00"),
    "escape in a comment": (SEEDS + b"# \x1b[2J\n", 3, "0x1b"),
    "form feed": (SEEDS + b"\f\n", 3, "0x0c"),
    "delete": (SEEDS + b"[log]\ndirectory = a\x7f\n", 4, "0x7f"),
    "lines of an old Mac": (b"[seeds]\rnode1 = 127.0.0.1:5345\r", 1, "0x0d"),
    "carriage return inside a line": (SEEDS + b"[log]\rlevel = info\n", 3, "0x0d"),
    "Latin-1 in a value": (SEEDS + b"[log]\ndirectory = caf\xe9\n", 4, "UTF-8"),
    "Latin-1 in a comment": (SEEDS + b"# caf\xe9\n", 3, "UTF-8"),
    "overlong UTF-8": (SEEDS + b"# \xc0\xaf\n", 3, "UTF-8"),
    "a surrogate": (SEEDS + b"# \xed\xa0\x80\n", 3, "UTF-8"),
    "half a character at the end": (SEEDS + b"# \xe2\x82", 3, "UTF-8"),
    "long comment": (SEEDS + b"# " + b"x" * 189 + b"\n", 3, "191 bytes"),
    "long comment that would set a key": (
        SEEDS + b"[overlay]\n# " + b"x" * 197 + b"dials = 1\n", 4, "bytes"),
    "long value": (SEEDS + b"[log]\ndirectory = " + b"d" * 300 + b"\n", 4, "bytes"),
    "long line of blanks": (SEEDS + b" " * 191 + b"\n", 3, "191 bytes"),
    "long section": (SEEDS + b"[" + b"s" * 250 + b"]\n", 3, "bytes"),
    # sections
    "unknown section": (SEEDS + b"[nosuch]\nkey = 1\n", 3, "unknown section"),
    "section in capitals": (SEEDS + b"[PEER]\n", 3, "unknown section"),
    "section with blanks": (SEEDS + b"[ peer ]\n", 3, "unknown section"),
    "section without a name": (SEEDS + b"[]\n", 3, "without a name"),
    "section without its end": (SEEDS + b"[peer\n", 3, "']'"),
    "section with a key behind it": (SEEDS + b"[log] level = info\n", 3, "behind"),
    "section twice closed": (SEEDS + b"[log]]\n", 3, "behind"),
    "indented section": (SEEDS + b" [log]\n", 3, "indented"),
    "key before a section": (b"dials = 4\n" + SEEDS, 1, "before the first [section]"),
    "no [seeds] but its entries": (b"node1 = 127.0.0.1:5345\n", 1, "before the first"),
    # keys
    "unknown key": (SEEDS + b"[peer]\nnosuch = 1\n", 4, "unknown key"),
    "key of another section": (SEEDS + b"[peer]\ndials = 4\n", 4, "unknown key"),
    "key in capitals": (SEEDS + b"[log]\nLevel = info\n", 4, "unknown key"),
    "key in quotes": (SEEDS + b"[log]\n\"level\" = info\n", 4, "unknown key"),
    "key with a blank in it": (SEEDS + b"[overlay]\nmax links = 9\n", 4, "unknown key"),
    "key that is none": (SEEDS + b"[log]\n= info\n", 4, "no key"),
    "key alone": (SEEDS + b"[log]\nlevel\n", 4, "neither"),
    "key and value without a sign": (SEEDS + b"[log]\nlevel info\n", 4, "neither"),
    "colon for the sign": (SEEDS + b"[log]\nlevel: info\n", 4, "':'"),
    "sign in a comment": (SEEDS + b"[log]\nlevel ; = info\n", 4, "neither"),
    "key twice": (SEEDS + b"[log]\nlevel = info\nlevel = warn\n", 5, "second time"),
    "key twice with the same value": (
        SEEDS + b"[log]\nlevel = info\nlevel = info\n", 5, "second time"),
    "key twice, sections apart": (
        SEEDS + b"[log]\nlevel = info\n[peer]\n[log]\nlevel = warn\n", 7, "second time"),
    "value that goes on": (SEEDS + b"[log]\nlevel =\n  info\n", 4, "must be"),
    "value with more behind it": (SEEDS + b"[log]\nlevel = info\n  warn\n", 5, "indented"),
    "indented key": (SEEDS + b"[log]\n\tlevel = info\n", 4, "indented"),
    "comment of the wrong kind behind a value": (
        SEEDS + b"[log]\nlevel = info # loud\n", 4, "info # loud"),
    "two equals signs": (SEEDS + b"[overlay]\ndials == 4\n", 4, "'= 4'"),
    # values
    "word for a duration": (SEEDS + b"[liveness]\ninterval = soon\n", 4, "soon"),
    "duration with a blank": (SEEDS + b"[liveness]\ninterval = 5 s\n", 4, "5 s"),
    "duration finer than a millisecond": (SEEDS + b"[liveness]\ninterval = 10.5ms\n", 4, "10.5"),
    "two durations": (SEEDS + b"[liveness]\ntimeout = 1m30s\n", 4, "1m30s"),
    "duration that overflows": (
        SEEDS + b"[liveness]\ntimeout = 18446744073709551617ms\n", 4, "18446744073709551617"),
    "size with a fraction": (SEEDS + b"[gossip]\nstore_bytes = 1.5M\n", 4, "1.5M"),
    "size in MiB": (SEEDS + b"[gossip]\nstore_bytes = 64MiB\n", 4, "64MiB"),
    "size that overflows": (
        SEEDS + b"[gossip]\nstore_bytes = 17179869185G\n", 4, "17179869185G"),
    "number in hexadecimal": (SEEDS + b"[overlay]\ndials = 0x4\n", 4, "0x4"),
    "number with an exponent": (SEEDS + b"[overlay]\nmax_candidates = 1e2\n", 4, "1e2"),
    "number with a sign": (SEEDS + b"[overlay]\ndials = +4\n", 4, "+4"),
    "number with a comma": (SEEDS + b"[seed]\nmax_peers = 10,000\n", 4, "10,000"),
    "number for a truth": (SEEDS + b"[gossip]\ntree = 1\n", 4, "yes or no"),
    "truth in capitals": (SEEDS + b"[gossip]\ntree = YES\n", 4, "yes or no"),
    "truth that is empty": (SEEDS + b"[security]\ninsecure =\n", 4, "yes or no"),
    "truth that may be": (SEEDS + b"[seed]\nallow_foreign = maybe\n", 4, "yes or no"),
    "unknown level": (SEEDS + b"[log]\nlevel = loud\n", 4, "loud"),
    "truth for a choice": (SEEDS + b"[log]\ncolor = yes\n", 4, "always, auto or never"),
    "unknown format": (SEEDS + b"[log]\nformat = xml\n", 4, "text or json"),
    "path in quotes": (SEEDS + b'[log]\ndirectory = "/var/log"\n', 4, "a path"),
    "empty path": (SEEDS + b"[log]\ndirectory =\n", 4, "a path"),
    # addresses
    "seed without a port": (b"[seeds]\nnode1 = 127.0.0.1\n", 2, "HOST:PORT"),
    "seed without a host": (b"[seeds]\nnode1 = :5345\n", 2, "HOST:PORT"),
    "seed without anything": (b"[seeds]\nnode1 =\n", 2, "without HOST:PORT"),
    "seed with port 0": (b"[seeds]\nnode1 = 127.0.0.1:0\n", 2, "1 to 65535"),
    "seed with port 65536": (b"[seeds]\nnode1 = 127.0.0.1:65536\n", 2, "65536"),
    "seed with a port of 04": (b"[seeds]\nnode1 = 127.0.0.1:05345\n", 2, "05345"),
    "seed with a negative port": (b"[seeds]\nnode1 = 127.0.0.1:-1\n", 2, "-1"),
    "seed with three numbers": (b"[seeds]\nnode1 = 127.0.1:5345\n", 2, "127.0.1"),
    "seed with 256": (b"[seeds]\nnode1 = 127.0.0.256:5345\n", 2, "256"),
    "seed at a bare IPv6 address": (b"[seeds]\nnode1 = ::1:5345\n", 2, "HOST:PORT"),
    "seed at a long IPv6 address": (b"[seeds]\nnode1 = [0:0::1]:5345\n", 2, "HOST:PORT"),
    "seed at an IPv4 address in brackets": (b"[seeds]\nnode1 = [127.0.0.1]:1\n", 2, "HOST:PORT"),
    "seed that is a URL": (b"[seeds]\nnode1 = tcp://127.0.0.1:5345\n", 2, "HOST:PORT"),
    "two addresses for a seed": (b"[seeds]\nnode1 = a:1, b:2\n", 2, "HOST:PORT"),
    "seed at a wildcard": (b"[seeds]\nnode1 = 0.0.0.0:5345\n", 2, "wildcard"),
    "seed at a wildcard of IPv6": (b"[seeds]\nnode1 = [::]:5345\n", 2, "wildcard"),
    "seed without a name": (b"[seeds]\n127.0.0.1:5345\n", 2, "':'"),
    "seed with a path for a name": (b"[seeds]\n../x = 127.0.0.1:5345\n", 2, "a seed's name"),
    "seed with a long name": (b"[seeds]\n" + b"n" * 32 + b" = 127.0.0.1:1\n", 2, "1 to 31"),
    "seed twice": (SEEDS + b"node1 = 127.0.0.1:5346\n", 3, "second time"),
    "two seeds at one address": (SEEDS + b"\nnode2 = 127.0.0.1:5345\n", 4, "same address"),
    "two seeds at one name": (
        b"[seeds]\na = Host.example:1\nb = b:1\nc = host.EXAMPLE:1\n", 4, "same address"),
    "65 seeds": (b"[seeds]\n" + b"".join(b"n%d = 127.0.0.1:%d\n" % (i, i)
                                        for i in range(1, 66)), 66, "64 seeds"),
    "listening nowhere": (SEEDS + b"[peer]\nlisten =\n", 4, "HOST:PORT"),
    "listening in quotes": (SEEDS + b"[peer]\nlisten = \"127.0.0.1:0\"\n", 4, "HOST:PORT"),
    "advertising port 0": (SEEDS + b"[peer]\nadvertise = 127.0.0.1:0\n", 4, "1 to 65535"),
    "advertising a wildcard": (SEEDS + b"[peer]\nadvertise = 0.0.0.0:1\n", 4, "wildcard"),
    # contradictions: the later line
    "dead before it is asked": (
        SEEDS + b"[liveness]\ninterval = 9s\n\ntimeout = 8s\n", 6, "longer than interval"),
    "dead when it is asked": (
        SEEDS + b"[liveness]\ntimeout = 9s\ninterval = 9s\n", 5, "longer than interval"),
    "dead before the built-in interval": (
        SEEDS + b"[liveness]\ntimeout = 5s\n", 4, "longer than interval"),
    "more dials than links": (
        SEEDS + b"[overlay]\nmax_links = 4\ndials = 5\n", 5, "dials"),
    "more dials than candidates": (
        SEEDS + b"[overlay]\ndials = 5\nmax_candidates = 4\n", 5, "dials"),
    "first pause above the longest": (
        SEEDS + b"[overlay]\nrepair_first = 31s\n", 4, "repair_max"),
    "pause above the longest": (SEEDS + b"[overlay]\nrepair_max = 400ms\n", 4, "repair_max"),
    "asking above its most": (SEEDS + b"[gossip]\nask_max = 50ms\n", 4, "ask_min"),
    "outbox full before it is high": (
        SEEDS + b"[gossip]\noutbox_high = 4M\n", 4, "less than max_outbox"),
    "outbox too small to be slow": (
        SEEDS + b"[gossip]\nslow_bytes = 8M\n", 4, "slow_bytes"),
    "message larger than an outbox": (
        SEEDS + b"[gossip]\nmax_data = 1M\nmax_outbox = 1536K\n", 5, "twice max_data"),
    "message larger than the store": (
        SEEDS + b"[gossip]\nmax_data = 1M\nstore_bytes = 1M\n", 5, "twice max_data"),
    "message larger than the output": (
        SEEDS + b"[gossip]\nmax_output = 64K\n", 4, "twice max_data"),
    "line ends of Windows do not move the count": (
        SEEDS.replace(b"\n", b"\r\n") + b"[log]\r\nlevel = loud\r\n", 4, "loud"),
}

# What --set and the environment take: section.key, value, a part of the reason.
BAD_SETTINGS = [
    ("overlay.nosuch", "1", "unknown key"),
    ("log.Level", "info", "unknown key"),
    ("overlay.dials", "0", "1 to 15"),
    ("overlay.dials", "16", "1 to 15"),
    ("overlay.dials", "-1", "1 to 15"),
    ("overlay.dials", "4.0", "1 to 15"),
    ("overlay.dials", " 4", "1 to 15"),
    ("overlay.dials", "", "1 to 15"),
    ("overlay.dials", "99999999999999999999", "1 to 15"),
    ("liveness.interval", "9ms", "10ms to 1h"),
    ("liveness.interval", "61m", "10ms to 1h"),
    ("liveness.interval", "5sec", "10ms to 1h"),
    ("gossip.store_bytes", "63K", "64K to 64G"),
    ("gossip.store_bytes", "64MB", "64K to 64G"),
    ("gossip.tree", "2", "yes or no"),
    ("log.level", "loud", "error, warn, info or debug"),
    ("log.directory", "", "a path"),
    ("log.directory", "a\nb", "a path"),
    ("log.directory", "caf\udce9", "a path"),
    ("peer.listen", "127.0.0.1", "HOST:PORT"),
    ("peer.advertise", "0.0.0.0:1", "wildcard"),
    ("seeds.node1", "127.0.0.1:0", "HOST:PORT"),
    ("seeds.node1", "[::]:1", "wildcard"),
    ("seeds.nosuch", "", "no seed of this name"),
    ("liveness.timeout", "5s", "longer than interval"),
    ("liveness.interval", "15s", "longer than interval"),
    ("overlay.max_candidates", "3", "dials"),
    ("gossip.outbox_high", "4M", "max_outbox"),
]


def refused(done, where, reason):
    assert done.returncode == 78, done
    assert not done.stdout
    said = done.stderr.decode()
    assert said.endswith("\n") and said.count("\n") == 1, said
    assert said[:-1].isprintable(), said
    assert where in said and reason in said, said


@BOTH
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_configuration_is_named_with_file_and_line(net, program, name):
    text, line, reason = BAD_FILES[name]
    net.config.write_bytes(text)
    done = net.run(program, "-c", "config.ini")
    refused(done, f"config.ini:{line}: ", reason)
    assert done.stderr.startswith(b"config.ini:")
    # Without the option it is the same file, and --check does not let it pass.
    assert net.run(program, "--check").stderr == done.stderr


def number(text):
    """10ms, 1h, 64K, 15: in ms, bytes or as it is."""
    digits, unit = re.fullmatch(r"(\d+)([a-zA-Z]*)", text).groups()
    return int(digits) * {"": 1, "ms": 1, "s": 1000, "m": 60000, "h": 3600000,
                          "K": 2**10, "M": 2**20, "G": 2**30}[unit]


def shipped_keys():
    """section, key, the range in its comment; of each key of config.ini."""
    section = comment = ""
    for line in SHIPPED.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line.startswith("#"):
            comment = line
        elif "=" in line and section != "seeds":
            form = re.search(r"\((.*), default [^)]*\)$", comment).group(1)
            yield section, line.split("=")[0].strip(), form


def faults_of(form):
    """Values that a key of this form must not have."""
    found = re.fullmatch(r"(?:0 or )?(\S+) to (\S+)", form)
    if not found:
        return ["", "1", "Yes"] if form == "yes or no" else ["", '"bin"', "'127.0.0.1:1'"]
    low, high = map(number, found.groups())
    unit = "ms" if re.search(r"[a-z]", found.group(2)) else ""
    bad = ["", "-1", "x", f"{high + 1}{unit}", f"{high}d", f"{2**64 + low}{unit}",
           f"{low}.5{unit}", f"0x{low:x}", f"{high} {unit or 'K'}"]
    if low > 0:
        bad.append(f"{low - 1 or 'none'}{unit}" if "0 or" in form else f"{low - 1}{unit}")
    return bad


def test_every_key_refuses_what_it_cannot_be(net):
    net.config.write_bytes(SEEDS)
    cases = [(section, key, value) for section, key, form in shipped_keys()
             for value in faults_of(form)
             if (key, value) not in (("advertise", ""), ("key_file", ""))]
    assert len(cases) > 300

    def judge(i):
        section, key, value = cases[i]
        path = net.directory / f"{i}.ini"
        path.write_text(f"[seeds]\nnode1 = 127.0.0.1:5345\n[{section}]\n{key} = {value}\n")
        done = net.run(PROGRAMS[i % 2], "-c", path.name, "--check")
        refused(done, f"{path.name}:4: {key} must be ", "")

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(judge, range(len(cases))))


@BOTH
def test_a_bad_setting_is_named_with_its_option(net, program):
    net.config.write_bytes(SEEDS)
    for key, value, reason in BAD_SETTINGS:
        done = net.run(program, "-c", "config.ini", "--set", f"{key}={value}")
        refused(done, f"--set {key}: ", reason)
    for setting in ("", "overlay", "overlay.dials", "=", "overlay=4"):
        done = net.run(program, "-c", "config.ini", "--set", setting)
        refused(done, ": --set", "must be section.key=value")
    done = net.run(program, "-c", "config.ini", "--set", "nosuch.key=1")
    refused(done, "--set nosuch.key: ", "unknown section")
    refused(net.run(program, "-c", "config.ini", "--log-level", "loud"), "--log-level: ", "loud")
    refused(net.run(program, "-c", "config.ini", "-l", "here"), "--listen: ", "HOST:PORT")


@BOTH
def test_a_bad_variable_is_named(net, program):
    net.config.write_bytes(SEEDS)
    for key, value, reason in BAD_SETTINGS:
        if key == "log.Level":
            continue  # variables are in capitals anyhow
        name = "SEEDPEER_" + key.upper().replace(".", "_")
        done = net.run(program, "-c", "config.ini", env={name: value})
        refused(done, f"environment {name}: ", reason)
    # Other programs may have variables that begin like ours.
    for name in ("SEEDPEER_HOME", "SEEDPEER_BINARY_DIR", "SEEDPEERS_LOG_LEVEL"):
        done = net.run(program, "-c", "config.ini", "--check", env={name: "x"})
        assert done.returncode == 0 and not done.stderr, done


@BOTH
def test_of_a_contradiction_the_last_word_is_blamed(net, program):
    net.config.write_bytes(SEEDS + b"[liveness]\ntimeout = 4s\n")
    one = {"SEEDPEER_LIVENESS_INTERVAL": "4s"}
    refused(net.run(program), "config.ini:4: ", "longer than interval")
    refused(net.run(program, env=one), "environment SEEDPEER_LIVENESS_INTERVAL: ", "longer")
    refused(net.run(program, "--set", "liveness.interval=6s", env=one),
            "--set liveness.interval: ", "longer")
    # And it may put things right.
    for how in ({"env": {"SEEDPEER_LIVENESS_INTERVAL": "1s"}}, {}):
        done = net.run(program, "--check", *([] if how else ["--set", "liveness.timeout=6s"]), **how)
        assert done.returncode == 0, done


@BOTH
def test_a_configuration_without_seeds_is_refused(net, program):
    for text in ("", "[seeds]\n", "[peer]\nmessage_interval = 5\n", "# nothing\n", "\n\n"):
        net.config.write_text(text)
        refused(net.run(program, "-c", "config.ini"), "config.ini: ", "no seeds")
    net.config.write_bytes(SEEDS)
    refused(net.run(program, "--set", "seeds.node1="), "", "no seeds")


@BOTH
def test_a_file_that_cannot_be_read_is_refused(net, program):
    refused(net.run(program, "-c", "nosuch.ini"), "nosuch.ini: ", "No such file")
    refused(net.run(program, "-c", "nosuch/config.ini"), "nosuch/config.ini: ", "No such file")
    refused(net.run(program, "-c", ""), ": ", "No such file")
    refused(net.run(program, "-c", "/dev/zero"), "/dev/zero: ", "larger than 1 MiB")
    refused(net.run(program, "-c", str(net.directory)), f"{net.directory}: ", "is a directory")
    loop = net.directory / "loop.ini"
    loop.symlink_to(loop)
    refused(net.run(program, "-c", "loop.ini"), "loop.ini: ", "symbolic links")
    net.config.unlink(missing_ok=True)
    net.config.mkdir()
    refused(net.run(program), "config.ini: ", "is a directory")
    net.config.rmdir()
    net.config.write_bytes(SEEDS)
    net.config.chmod(0)
    if os.geteuid() != 0:  # who may read everything
        refused(net.run(program), "config.ini: ", "Permission denied")


@BOTH
def test_line_ends_of_windows_are_fine(net, program):
    net.config.write_bytes(SHIPPED.read_bytes())
    unix = net.run(program, "--print-config")
    net.config.write_bytes(SHIPPED.read_bytes().replace(b"\n", b"\r\n"))
    windows = net.run(program, "--print-config")
    assert unix.returncode == windows.returncode == 0
    assert unix.stdout == windows.stdout and b"\r" not in windows.stdout
