#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make lint`: what the compilers do not check.

The include rules are the architecture (docs/architecture.md): they say which layer may know of which. The
rest keeps the tree readable: files open with a licence line and an essay, stay short, hold no leftovers, and
are formatted alike. Before it looks at the tree, lint plants one violation of each rule and must see it.

  lint.py           self-test, then the tree
  lint.py --format  let clang-format rewrite the C files
"""

import os
import re
import subprocess
import sys
import tempfile

CLANG_FORMAT = "clang-format-14"  # other versions format differently
C = (".c", ".h")
MAX_LINES = 500
MAX_COLUMNS = 100
MAX_COLUMNS_PYTHON = 120

TOP = ("Makefile", "linker.ld", ".ci", "arch", "boot", "iso", "kernel", "mm", "tests", "tools", "xen")
KINDS = (".c", ".h", ".asm", ".inc", ".ld", ".py", ".sh", ".mk", ".cfg", ".pml", "Makefile", "run")

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
FREESTANDING = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h"}
BASICS = r"kernel/(types|errno|string)\.h|mm/(types|layout)\.h"

# (files, what they may include, why): for each file the first rule that fits decides.
INCLUDE_RULES = [
    (r"mm/mm_internal\.h", r"(mm|kernel)/.*|arch/x86/pte\.h", "it leads to mm/, kernel/ and the PTE format"),
    (r"mm/.*\.c", r"mm/.*", "mm/*.c sees the world through mm/mm_internal.h only"),
    (r"mm/.*\.h", r"mm/.*|kernel/types\.h|arch/x86/pte\.h", "mm/*.h needs mm/*.h and the PTE format only"),
    (r"boot/.*", rf"boot/.*|{BASICS}", "what parses a hand-over must run on the host: boot/ and the basics of kernel/"),
    (r"xen/pvh\.c", r"(xen|mm|kernel|boot|arch)/.*", "a PVH guest is the bare machine, but for what xen/ replaces"),
    (r"xen/.*", r"(xen|mm|kernel|boot)/.*|arch/x86/(pte|regs|cpu|io|idt)\.h", "xen/ knows only the processor's primitives"),
    (r"tests/xen/.*", r".*", "tests of xen/ may see all"),
    (r"(arch|kernel|tests/kernel)/.*", r"(?!xen/).*", "only xen/ knows of Xen"),
]
KERNEL_CODE = re.compile(r"(arch|boot|kernel|mm|xen|tests/kernel|tests/xen)/")
XEN_CODE = re.compile(r"(tests/)?xen/|boot/xen\.h")  # the only code that includes Xen's public headers, as <xen/...>
ASM = re.compile(r"\b(asm|__asm__)\s*(\(|volatile|goto)")
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX)\b")


def include_complaint(path, line):
    match = INCLUDE.match(line)
    if not match or not KERNEL_CODE.match(path):
        return None
    bracket, header = match.groups()
    if bracket == "<":
        known = header in FREESTANDING or header.startswith("xen/") and XEN_CODE.match(path)
        return None if known else f"<{header}> is not the kernel's"
    for files, allowed, why in INCLUDE_RULES:
        if re.fullmatch(files, path):
            return None if re.fullmatch(allowed, header) else f'"{header}": {why}'
    return None


def check_text(path, text):
    """=> complaints about one file, each as (line number, text)"""
    lines = text.split("\n")
    if lines.pop() != "":
        yield len(lines), "no newline at the end"
    head = lines[1:] if lines and lines[0].startswith("#!") else lines
    if not head or "SPDX-License-Identifier: MIT" not in head[0]:
        yield 1, "does not begin with SPDX-License-Identifier: MIT"
    if len(head) < 2 or not re.match(r"/\*|//|#|;|\"\"\"", head[1]):
        yield 2, "does not open with an essay"
    if len(lines) > MAX_LINES:
        yield len(lines), f"is longer than {MAX_LINES} lines"
    columns = MAX_COLUMNS_PYTHON if path.endswith(".py") else MAX_COLUMNS
    for number, line in enumerate(lines, 1):
        # A text that is printed stays in one piece, so that it can be searched for.
        if len(line.expandtabs(8)) > columns and '"' not in line:
            yield number, f"is longer than {columns} columns"
        if line != line.rstrip():
            yield number, "white space at the end"
        if LEFTOVER.search(line) and path != "tools/lint.py":
            yield number, "a leftover: do it, or file an issue"
        if complaint := include_complaint(path, line):
            yield number, complaint
        if path.startswith("mm/") and ASM.search(line):
            yield number, "assembly in mm/"
        if re.fullmatch(r"mm/.*\.c", path) and re.match(r"\s*#\s*if", line):
            yield number, "conditional compilation in mm/: the platform is chosen by mmu_ops"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def tools_for(paths):
    """=> the other programs to run, each on its kind of file"""
    shell = [path for path in paths if path.endswith(".sh") or path == ".ci/run"]
    python = [path for path in paths if path.endswith(".py")]
    yield ["shellcheck", *shell], shell
    yield ["pyflakes3", *python], python


def badly_formatted(paths):
    """=> those of the C files that clang-format would change"""
    c = [path for path in paths if path.endswith(C)]
    if not c:
        return []
    done = subprocess.run([CLANG_FORMAT, "--dry-run", *c], stderr=subprocess.PIPE, text=True, check=True)
    return [path for path in c if f"{path}:" in done.stderr]


def check_tree(paths):
    """=> how many complaints there are about these files; printed"""
    found = 0
    for path in badly_formatted(paths):
        print(f"{path}: is not formatted; make format does it")
        found += 1
    for path in paths:
        for number, complaint in check_text(path, read(path)):
            print(f"{path}:{number}: {complaint}")
            found += 1
    for argv, files in tools_for(paths):
        if files and subprocess.run(argv, check=False).returncode:
            found += 1
    return found


def tree():
    found = []
    for top in TOP:
        found += [top] if os.path.isfile(top) else []
        for directory, _, files in os.walk(top):
            found += [f"{directory}/{file}" for file in files]
    return sorted(path for path in found if path.endswith(KINDS))


GOOD = "// SPDX-License-Identifier: MIT\n/* An essay. */\n"
SHELL = "#!/bin/sh\n# SPDX-License-Identifier: MIT\n# An essay.\n"
PYTHON = '# SPDX-License-Identifier: MIT\n"""An essay."""\n'

# What must be seen: (path, text). One violation each.
PLANTED = [
    ("mm/a.c", GOOD + '#include "kernel/printk.h"\n'),
    ("mm/a.c", GOOD + '#include "xen/pin.h"\n'),
    ("mm/a.c", GOOD + "#include <stdio.h>\n"),
    ("mm/a.h", GOOD + '#include "kernel/printk.h"\n'),
    ("mm/mm_internal.h", GOOD + '#include "arch/x86/apic.h"\n'),
    ("boot/pvh.c", GOOD + '#include "kernel/printk.h"\n'),
    ("arch/x86/a.c", GOOD + '#include "xen/pin.h"\n'),
    ("kernel/a.c", GOOD + '#include "xen/pin.h"\n'),
    ("xen/a.c", GOOD + '#include "arch/x86/apic.h"\n'),
    ("xen/a.c", GOOD + "#include <stdio.h>\n"),
    ("kernel/a.c", GOOD + "#include <xen/xen.h>\n"),
    ("tests/kernel/a.c", GOOD + '#include "xen/pin.h"\n'),
    ("mm/a.c", GOOD + 'void f(void)\n{\n\t__asm__("");\n}\n'),
    ("mm/a.c", GOOD + "#ifdef XEN\n#endif\n"),
    ("kernel/a.c", "/* An essay. */\n"),
    ("kernel/a.c", "// SPDX-License-Identifier: MIT\nint a;\n"),
    ("kernel/a.c", GOOD + "int a;\n" * MAX_LINES),
    ("kernel/a.c", GOOD + "// " + "long " * 20 + "\n"),
    ("kernel/a.c", GOOD + "// space \n"),
    ("kernel/a.c", GOOD + "// TODO\n"),
    ("kernel/a.c", GOOD + "// no end"),
    ("kernel/a.c", GOOD + "int a  ;\n"),
    ("tools/a.sh", SHELL + "echo $1\n"),
    ("tools/a.py", PYTHON + "import os\n"),
]
INNOCENT = [
    ("mm/a.c", GOOD + '#include "mm/a.h"\n#include "mm/mm_internal.h"\n'),
    ("boot/pvh.c", GOOD + '#include "boot/boot_info.h"\n#include "kernel/types.h"\n'),
    ("kernel/a.c", GOOD + '#include <stdarg.h>\n#include "arch/x86/apic.h"\n'),
    ("xen/a.c", GOOD + '#include <xen/xen.h>\n#include "arch/x86/pte.h"\n#include "mm/mm_internal.h"\n'),
    ("tests/xen/a.c", GOOD + '#include "kernel/test.h"\n#include "xen/difftest.h"\n'),
    ("tests/host/a.c", GOOD + '#include <stdio.h>\n#include "mm/a.h"\n'),
    ("tools/a.sh", SHELL + 'echo "$1"\n'),
    ("tools/a.py", PYTHON + "import os\nprint(os)\n"),
]


def complains(path, text):
    """Lints one file in a tree of its own. => whether anything was said about it"""
    with tempfile.TemporaryDirectory() as top:
        os.makedirs(f"{top}/{os.path.dirname(path)}")
        with open(f"{top}/{path}", "w", encoding="utf-8") as file:
            file.write(text)
        with open(f"{top}/.clang-format", "w", encoding="utf-8") as file:
            file.write(read(".clang-format"))
        argvs = [argv for argv, files in tools_for([f"{top}/{path}"]) if files]
        return any(check_text(path, text)) or badly_formatted([f"{top}/{path}"]) or any(
            subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
            for argv in argvs)


def self_test():
    """=> how many planted violations went unseen, or innocent files were accused"""
    wrong = [f"unseen in {path}: {text.splitlines()[-1][:60]!r}" for path, text in PLANTED if not complains(path, text)]
    wrong += [f"accused though innocent: {path}" for path, text in INNOCENT if complains(path, text)]
    for line in wrong:
        print(f"lint: self-test: {line}")
    return len(wrong)


def main():
    paths = tree()
    if sys.argv[1:] == ["--format"]:
        return subprocess.call([CLANG_FORMAT, "-i", *[path for path in paths if path.endswith(C)]])
    found = self_test() + check_tree(paths)
    print(f"lint: {len(paths)} files, {len(PLANTED)} planted violations seen, {found} complaints" if not found
          else f"lint: {found} complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
