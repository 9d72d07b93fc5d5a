// SPDX-License-Identifier: MIT
/*
 * A 16550 serial port: the console that is always there, from the first line of boot to the last of
 * a panic. Registers are those of National Semiconductor's PC16550D data sheet, table II.
 *
 * Output is polled, so it works in any context: wait until the transmitter's FIFO is empty, write
 * up to its 16 bytes. A port whose other end has stopped reading never gets empty; after one
 * bounded wait output is dropped without waiting, until the port is ready again and told how
 * much was lost.
 *
 * Input is by interrupt once there are interrupts. The handler masks the port while it empties the
 * FIFO, for two reasons. The ISA line is edge triggered: masking lowers it, so that unmasking with
 * a byte left makes a new edge and none is ever lost. And when nobody reads the console, the port
 * simply stays masked: a flood cannot keep the CPU in the handler, and the bytes wait in the FIFO
 * (and in an emulator's pipe) until the console polls. Only what overran the FIFO itself is lost.
 *
 * Boot must not lose what was piped in before the port is set up: enabling the FIFO empties the
 * receiver, so a byte that waits there is saved first.
 */
#include "arch/x86/uart.h"
#include "arch/x86/io.h"
#include "kernel/console.h"
#include "kernel/counter.h"
#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "kernel/time.h"

#define COM1 0x3f8

/* Registers, as offsets; DLL and DLM replace the first two while LCR.DLAB is set. */
enum {
	RBR = 0, /* read: receiver */
	THR = 0, /* write: transmitter */
	IER = 1, /* interrupt enable */
	FCR = 2, /* write: FIFO control */
	LCR = 3, /* line control */
	MCR = 4, /* modem control */
	LSR = 5, /* line status */
	DLL = 0, /* divisor latch */
	DLM = 1,
};

#define IER_RECEIVED   0x01
#define FCR_ENABLE     0x01
#define LCR_8N1	       0x03
#define LCR_DLAB       0x80
#define MCR_DTR	       0x01
#define MCR_RTS	       0x02
#define MCR_OUT2       0x08 /* on a PC: lets the interrupt line through */
#define MCR_LOOP       0x10
#define LSR_DATA       0x01
#define LSR_OVERRUN    0x02
#define LSR_EMPTY      0x20 /* room for FIFO_SIZE bytes */
#define LSR_IDLE       0x40 /* and the last one has gone out */

#define FIFO_SIZE      16
#define DIVISOR_115200 1
#define LOOP_TEST_BYTE 0xae
#define LOOP_WAIT_US   20000   /* a byte takes 87 us at 115200 baud */
#define OUTPUT_WAIT_US 5000000 /* half the watchdog's time: who prints may hold up other CPUs */

static void uart_write(struct console_dev *dev, const char *s, size_t n);
static void uart_flush(struct console_dev *dev);
static void uart_poll(struct console_dev *dev);

static struct console_dev uart_console = {
	.name = "uart",
	.write = uart_write,
	.flush = uart_flush,
	.poll = uart_poll,
	.polled = true,
};

static int early_byte = -1; /* received before there was anyone to give it to */

/* Output, the console's owner only: */
static bool stuck;     /* the last wait was in vain */
static u64 nr_dropped; /* bytes, while stuck */

static spinlock_t receive_lock = SPINLOCK_INIT("uart receiver");
/* Under receive_lock: */
static bool by_interrupt;

static u8 read_reg(u16 reg)
{
	return inb(COM1 + reg);
}

static void write_reg(u16 reg, u8 v)
{
	outb(COM1 + reg, v);
}

/* => has LSR shown one of `bits` before `us` have passed? */
static bool wait_lsr(u8 bits, u64 us)
{
	u64 start = tsc_now();

	while (!(read_reg(LSR) & bits)) {
		if (tsc_to_us(tsc_now() - start) > us)
			return false;
		cpu_relax();
	}
	return true;
}

/*
 * Sends a byte in loopback mode and expects it back. => port in loopback mode, FIFO enabled
 */
static bool loop_test(void)
{
	write_reg(THR, LOOP_TEST_BYTE);
	return wait_lsr(LSR_DATA, LOOP_WAIT_US) && read_reg(RBR) == LOOP_TEST_BYTE;
}

void uart_init_early(void)
{
	bool waiting;

	write_reg(IER, 0);
	write_reg(LCR, LCR_DLAB);
	write_reg(DLL, DIVISOR_115200);
	write_reg(DLM, 0);
	write_reg(LCR, LCR_8N1);
	/* In loopback nothing new comes in from outside between the next two steps. */
	write_reg(MCR, MCR_LOOP | MCR_RTS | MCR_OUT2);
	waiting = read_reg(LSR) & LSR_DATA;
	if (waiting)
		early_byte = read_reg(RBR);
	write_reg(FCR, FCR_ENABLE);
	if (!loop_test())
		return;
	write_reg(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
	console_register(&uart_console);
}

/* => may FIFO_SIZE bytes be written now? */
static bool ready_to_send(void)
{
	if (stuck ? read_reg(LSR) & LSR_EMPTY : wait_lsr(LSR_EMPTY, OUTPUT_WAIT_US)) {
		stuck = false;
		return true;
	}
	stuck = true;
	return false;
}

/* Sends n bytes as they are. */
static void send(const char *s, size_t n)
{
	while (n) {
		size_t part = MIN(n, (size_t)FIFO_SIZE);

		if (ready_to_send()) {
			for (size_t i = 0; i < part; i++)
				write_reg(THR, (u8)s[i]);
		} else {
			nr_dropped += part;
		}
		s += part;
		n -= part;
	}
}

static void report_dropped(void)
{
	char note[64];
	int n;

	if (!nr_dropped || !ready_to_send())
		return;
	n = snprintf(note, sizeof(note), "\r\n[%lu bytes dropped: the serial line stood still]\r\n",
		     nr_dropped);
	nr_dropped = 0;
	send(note, (size_t)n);
}

static void uart_write(struct console_dev *dev __attribute__((unused)), const char *s, size_t n)
{
	char out[64];
	size_t used = 0;

	report_dropped();
	for (; n; n--, s++) {
		if (used + 2 > sizeof(out)) {
			send(out, used);
			used = 0;
		}
		if (*s == '\n')
			out[used++] = '\r';
		out[used++] = *s;
	}
	send(out, used);
}

static void uart_flush(struct console_dev *dev __attribute__((unused)))
{
	stuck = false; /* the last chance is worth one more wait */
	report_dropped();
	if (!stuck)
		wait_lsr(LSR_IDLE, OUTPUT_WAIT_US);
}

/* Empties the FIFO into the console, as far as that has room. => receive_lock held */
static void receive(void)
{
	write_reg(IER, 0);
	for (size_t room = console_input_room(); room; room--) {
		u8 lsr = read_reg(LSR);

		if (lsr & LSR_OVERRUN)
			count(input_lost); /* at least one: the port does not say how many */
		if (!(lsr & LSR_DATA)) {
			write_reg(IER, by_interrupt ? IER_RECEIVED : 0);
			return;
		}
		console_input((char)read_reg(RBR));
	}
}

void uart_interrupt(void)
{
	count(irq_serial);
	spin_lock(&receive_lock);
	receive();
	spin_unlock(&receive_lock);
}

static void uart_poll(struct console_dev *dev __attribute__((unused)))
{
	spin_lock(&receive_lock);
	if (early_byte >= 0)
		console_input((char)early_byte);
	early_byte = -1;
	receive();
	spin_unlock(&receive_lock);
}

void uart_enable_irq(void)
{
	spin_lock(&receive_lock);
	by_interrupt = true;
	spin_unlock(&receive_lock);
	uart_console.polled = false;
	uart_poll(&uart_console);
}
