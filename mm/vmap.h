// SPDX-License-Identifier: MIT
/*
 * Mapping frames at kernel addresses, and taking the mapping away again: the subject of this
 * kernel. An area is a run of pages in the vmap area with a guard page after it.
 *
 *   free -> live -> lazy -> cleared -> (every CPU has flushed) -> free
 *             ^______|  revival: the same frames mapped again while their lazy mapping stands
 *
 * Where a policy (mm/lazy.h) does not stop at a state, it is passed at once. All of vmap,
 * vm_map_ram, vmalloc (mm/vmalloc.h) and kmap (mm/kmap.h) are this one engine; they differ in what
 * they remember about an area and who owns the frames.
 *
 * Unless it says otherwise a call may be made in any context but an NMI, interrupt handlers
 * included. With IRQs off or a spinlock held it waits for nobody: mapping fails where only a purge
 * could have found addresses, unmapping leaves the flush for later.
 *
 * To hand a call what it does not accept is a bug of the caller's, and what follows is said at
 * each: a message and NULL (or -errno) where the caller could not know better, a named panic where
 * going on would corrupt memory.
 */
#ifndef MM_VMAP_H
#define MM_VMAP_H

#include "mm/frame.h"
#include "mm/lazy.h"

/*
 * vmap: the n frames at consecutive addresses, in array order. The array is not kept.
 *   => prot: VM_R or VM_W, with or without VM_LOCAL
 *   => NULL: n is 0 or more than there is RAM (with a message), a frame is free, reserved, a page
 *      table (with a message); no memory for tables, or no addresses; nothing changed
 * vunmap: the end of it; va is what vmap or vmap_pfn gave. The frames are the caller's again.
 *   => va NULL is nothing; anything else panics by name: never mapped, the middle of an area,
 *      unmapped before, mapped by another call
 */
void *vmap(struct frame *const *f, u64 n, unsigned prot) __must_check;
void vunmap(void *va);

/*
 * vm_map_ram: as vmap, for what is short-lived: neither the caller nor the time is recorded.
 * vm_unmap_ram: => n is the count it was mapped with, or it panics by name; otherwise as vunmap
 */
void *vm_map_ram(struct frame *const *f, u64 n, unsigned prot) __must_check;
void vm_unmap_ram(void *va, u64 n);

/*
 * vmap_pfn: n consecutive frame numbers that are not RAM of ours (device registers, framebuffers),
 * in 2 MiB pages where they are aligned for it.
 *   => prot: VM_UC or VM_WC, with or without VM_W; thread context
 *   => NULL also, with a message, if the addresses are RAM or beyond what the processor can name
 * ioremap: the same for `bytes` bytes at any physical address; the result has its offset in the
 * page.
 * iounmap: => any address ioremap gave; panics otherwise, as vunmap
 */
void *vmap_pfn(pfn_t first, u64 n, unsigned prot, const char *name) __must_check;
void *ioremap(paddr_t pa, u64 bytes, unsigned prot, const char *name) __must_check;
void iounmap(void *va);

/*
 * vm_protect: a live area gets other rights, on every CPU when it returns.
 *   => thread context, IRQs on, no spinlock held; prot: VM_R or VM_W (RAM), and no other change
 *   => -EINVAL, with a message: not the start of a live area, or a device's, or sparse
 *   => -errno if the platform refuses an entry: all pages have the rights they had
 */
int vm_protect(void *va, unsigned prot) __must_check;

/*
 * Sparse areas: addresses first, pages later. vm_area_reserve takes hardly any memory, however many
 * pages. vm_area_map puts n frames at page `page` of it; vm_area_unmap takes n pages away, all of
 * which must be mapped. What is taken away is flushed when its address is used again, not before;
 * vm_area_free ends all.
 *   => align: in pages, a power of two
 *   => _map: 0, -EINVAL (outside the area, or some page is mapped already, or a frame may not be),
 *      -ENOMEM, with nothing changed; _unmap: 0 or -EINVAL
 *   => thread context, IRQs on; one caller at a time for one area
 */
void *vm_area_reserve(u64 pages, u64 align, const char *name) __must_check;
int vm_area_map(void *area, u64 page, struct frame *const *f, u64 n, unsigned prot) __must_check;
int vm_area_unmap(void *area, u64 page, u64 n) __must_check;
void vm_area_free(void *area);

/* find_vm_area: a copy of the live area that holds va (its guard does not count). => false: none */
bool find_vm_area(const void *va, struct area *copy);

/* vmalloc_to_frame: the frame that a live area maps at va; NULL: none, or not RAM. */
struct frame *vmalloc_to_frame(const void *va);

/*
 * vmap_stack_alloc: `pages` fresh frames mapped with guards on both sides, for a stack. => the
 * lowest address, or NULL
 */
void *vmap_stack_alloc(unsigned pages, const char *name) __must_check;
void vmap_stack_free(void *va);

/*
 * vm_unmap_aliases: everything unmapped so far is gone from every CPU, and its addresses may be
 * used again, when this returns. => thread context, IRQs on, no spinlock held
 */
void vm_unmap_aliases(void);

/*
 * vm_unmap_frame_aliases: the same for n given frames only, free ones included. Where a frame never
 * had an alias it costs a look at one word; other areas are not touched.
 *   => thread context, no spinlock held; PURGE_PTES: any IRQ state; PURGE_FLUSH: IRQs on
 *   => 0, or -EBUSY if a live area maps one of them: the lazy aliases are gone all the same
 */
int vm_unmap_frame_aliases(struct frame *const *f, unsigned n, enum purge_phase phase);

/* => has `f` an alias, or may some CPU remember one? Any context. */
bool frame_remembered(struct frame *f);

void vmap_init(enum lazy_policy policy, u64 lazy_max_pages);

#endif
