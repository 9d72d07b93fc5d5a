# SPDX-License-Identifier: MIT
"""Plain mutants: in the making."""


def add_arguments(parser):
    pass


def chosen(settings):
    return []


def targets(edits):
    return set()


def show(edits):
    pass
