// SPDX-License-Identifier: MIT
/*
 * The log: everything printed so far, for as long as it fits. It takes text from any context and
 * knows nothing of devices; each console remembers how far it has read (kernel/console.c).
 */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include "kernel/types.h"

#define LOG_RECORDS 1024 /* a power of two */
#define LOG_TEXT    119	 /* bytes of text in a record; with its header 128 */

/*
 * log_append: adds n bytes; one call's text is not mixed with another's (up to LOG_BATCH records).
 *   => any context, NMI included; never waits
 */
#define LOG_BATCH 64
void log_append(const char *s, size_t n);

/* => the position the next record will get; positions count records from 0 */
u64 log_end(void);

/* => can the record at `pos` be read, or has it been overwritten, so that reading moves on? */
bool log_readable(u64 pos);

/*
 * log_read: the record at *pos into out[].
 *   => its length, and *pos moved past it; 0 if it does not exist or is still being written
 *   => records overwritten before they were read are skipped and added to *lost
 */
size_t log_read(u64 *pos, char out[LOG_TEXT], u64 *lost);

/*
 * log_abandon_unfinished: records that were begun and not finished become "[lost]", so that the log
 * can be read past them. => in a panic, when those who were writing them may never go on
 */
void log_abandon_unfinished(void);

#endif
