// SPDX-License-Identifier: MIT
/*
 * printf's formats. A conversion goes through three steps that the code keeps apart:
 *
 *   parse_spec   "%-08.3lx" becomes a struct spec
 *   a converter  makes the digits or finds the text
 *   put_field    pads it to its width
 *
 * and every byte leaves through put(), the one place that knows where the buffer ends. So there
 * are no partial writes to undo, and the length of the whole text comes for free.
 *
 * Nothing is allocated, no lock is taken and no state is kept: this runs in a panic inside an
 * NMI inside anything. There is no floating point in this kernel. The one addition to C is %pS,
 * the symbol an address belongs to. Next: kernel/printk.c.
 */
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/symbols.h"

struct out {
	char *buf;
	size_t size, len; /* len: of the whole text, may exceed size */
};

struct spec {
	bool left, plus, space, alt, zero;
	bool upper;
	int width, precision; /* precision < 0: none given */
	int length;	      /* bytes of the integer argument: 1, 2, 4, 8 */
};

static void put(struct out *o, char c)
{
	if (o->len < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void put_text(struct out *o, const char *s, size_t n)
{
	while (n--)
		put(o, *s++);
}

static void put_fill(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

/* A field: prefix ("-", "0x"), `zeros` zeros, the text; blanks around it up to the width. */
static void put_field(struct out *o, const struct spec *sp, const char *prefix, int zeros,
		      const char *text, size_t n)
{
	int blanks = sp->width - (int)strlen(prefix) - zeros - (int)n;

	if (!sp->left)
		put_fill(o, ' ', blanks);
	put_text(o, prefix, strlen(prefix));
	put_fill(o, '0', zeros);
	put_text(o, text, n);
	if (sp->left)
		put_fill(o, ' ', blanks);
}

static void put_number(struct out *o, const struct spec *sp, u64 v, unsigned base, const char *sign)
{
	const char *digits = sp->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[22]; /* 64 bits in octal */
	char *p = text + sizeof(text);
	const char *prefix = sign;
	int n, zeros = 0;

	/* C: a zero with precision 0 has no digits at all. */
	for (u64 rest = v; rest || (p == text + sizeof(text) && sp->precision); rest /= base)
		*--p = digits[rest % base];
	n = (int)(text + sizeof(text) - p);
	if (sp->alt && base == 16 && v)
		prefix = sp->upper ? "0X" : "0x";
	if (sp->precision >= 0)
		zeros = sp->precision - n;
	else if (sp->zero && !sp->left)
		zeros = sp->width - (int)strlen(prefix) - n;
	if (sp->alt && base == 8 && zeros <= 0 && !(n && *p == '0'))
		zeros = 1;
	put_field(o, sp, prefix, MAX(zeros, 0), p, n);
}

/* Arguments shorter than int are passed as int; the conversion cuts them back (C11 7.21.6.1). */
static u64 unsigned_arg(va_list *ap, int length)
{
	switch (length) {
	case 1:
		return (u8)va_arg(*ap, int);
	case 2:
		return (u16)va_arg(*ap, int);
	case 4:
		return va_arg(*ap, u32);
	default:
		return va_arg(*ap, u64);
	}
}

static s64 signed_arg(va_list *ap, int length)
{
	u64 v = unsigned_arg(ap, length);
	int unused = 64 - 8 * length;

	return (s64)(v << unused) >> unused;
}

static void put_signed(struct out *o, const struct spec *sp, s64 v)
{
	const char *sign = v < 0 ? "-" : sp->plus ? "+" : sp->space ? " " : "";

	put_number(o, sp, v < 0 ? -(u64)v : (u64)v, 10, sign);
}

static void put_string(struct out *o, const struct spec *sp, const char *s)
{
	if (!s)
		s = "(null)";
	put_field(o, sp, "", 0, s, sp->precision < 0 ? strlen(s) : strnlen(s, sp->precision));
}

/* symbol+0x12, or the bare address if no symbol holds it. */
static void put_symbol(struct out *o, const struct spec *sp, u64 addr)
{
	char text[96];
	u64 offset;
	const char *name = symbol_lookup(addr, &offset);

	if (name)
		snprintf(text, sizeof(text), "%s+%#lx", name, offset);
	else
		snprintf(text, sizeof(text), "%#lx", addr);
	put_string(o, sp, text);
}

/* A number in the format, or `*`. Held to FIELD_MAX, so that no sum of widths can overflow. */
#define FIELD_MAX (1 << 16)

static const char *parse_number(const char *f, va_list *ap, int *out)
{
	int v = 0;

	if (*f == '*') {
		v = va_arg(*ap, int);
		*out = MAX(MIN(v, FIELD_MAX), -FIELD_MAX);
		return f + 1;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		v = MIN(v * 10 + (*f - '0'), FIELD_MAX);
	*out = v;
	return f;
}

static const char *parse_flags(const char *f, struct spec *sp)
{
	for (;; f++) {
		switch (*f) {
		case '-':
			sp->left = true;
			break;
		case '+':
			sp->plus = true;
			break;
		case ' ':
			sp->space = true;
			break;
		case '#':
			sp->alt = true;
			break;
		case '0':
			sp->zero = true;
			break;
		default:
			return f;
		}
	}
}

/* => the conversion's letter is at the pointer returned */
static const char *parse_spec(const char *f, va_list *ap, struct spec *sp)
{
	*sp = (struct spec){.precision = -1, .length = 4};
	f = parse_flags(f, sp);
	f = parse_number(f, ap, &sp->width);
	if (sp->width < 0) {
		sp->left = true;
		sp->width = -sp->width;
	}
	if (*f == '.')
		f = parse_number(f + 1, ap, &sp->precision);
	for (; *f == 'h'; f++)
		sp->length /= 2;
	for (; *f == 'l' || *f == 'z' || *f == 't'; f++)
		sp->length = 8;
	return f;
}

/* => the format after the conversion */
static const char *convert(struct out *o, const char *f, va_list *ap)
{
	const char *start = f;
	struct spec sp;
	char c;

	f = parse_spec(f, ap, &sp);
	switch (*f) {
	case 'd':
	case 'i':
		put_signed(o, &sp, signed_arg(ap, sp.length));
		break;
	case 'u':
		put_number(o, &sp, unsigned_arg(ap, sp.length), 10, "");
		break;
	case 'X':
		sp.upper = true;
		/* fall through */
	case 'x':
		put_number(o, &sp, unsigned_arg(ap, sp.length), 16, "");
		break;
	case 'o':
		put_number(o, &sp, unsigned_arg(ap, sp.length), 8, "");
		break;
	case 'c':
		c = (char)va_arg(*ap, int);
		put_field(o, &sp, "", 0, &c, 1);
		break;
	case 's':
		put_string(o, &sp, va_arg(*ap, const char *));
		break;
	case 'p':
		if (f[1] == 'S') {
			put_symbol(o, &sp, va_arg(*ap, u64));
			return f + 2;
		}
		sp.alt = true;
		put_number(o, &sp, va_arg(*ap, u64), 16, "");
		break;
	case '%':
		put(o, '%');
		break;
	default: /* not a conversion: show it as it stands, end of the format included */
		put(o, '%');
		return start;
	}
	return f + 1;
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct out o = {buf, size, 0};
	va_list args; /* of a parameter, a va_list's address has another type: pass on a copy's */

	va_copy(args, ap);
	while (*fmt) {
		if (*fmt == '%')
			fmt = convert(&o, fmt + 1, &args);
		else
			put(&o, *fmt++);
	}
	va_end(args);
	if (size)
		buf[MIN(o.len, size - 1)] = '\0';
	return (int)o.len;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
