/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest_counter.h"

#include <stdio.h>

#include "kvm_debugfs.h"

/* The counter that a guest of the host's own architecture has. */
#if defined(__x86_64__)
#define NATIVE_COUNTER VIRTIO_RTC_COUNTER_X86_TSC
#elif defined(__aarch64__)
#define NATIVE_COUNTER VIRTIO_RTC_COUNTER_ARM_VCT
#else
#define NATIVE_COUNTER VIRTIO_RTC_COUNTER_INVALID
#endif

static const struct vrtc_counter_map no_map = {.guest_counter = VIRTIO_RTC_COUNTER_INVALID};

static const struct vrtc_counter_map *present(const struct vrtc_guest_counter *c)
{
	return atomic_load_explicit(&c->map, memory_order_relaxed);
}

/* Publishes it. The other slot was let go of by the lcore before, see the header. */
static bool set(struct vrtc_guest_counter *c, const struct vrtc_counter_map *map,
	enum vrtc_counter_origin from)
{
	const struct vrtc_counter_map *old = present(c);
	struct vrtc_counter_map *slot = old == &c->slot[0] ? &c->slot[1] : &c->slot[0];

	*slot = *map;
	if (map->host_counter == VRTC_HOST_COUNTER_CPU && c->pairing->cpu_unfit)
		slot->host_counter = VRTC_HOST_COUNTER_NONE;
	if (c->origin == from && vrtc_counter_map_equal(old, slot))
		return false;
	c->origin = from;
	c->generation++;
	/* Release: pairs with the acquire of the lcore (session.c). */
	atomic_store_explicit(&c->map, slot, memory_order_release);
	return true;
}

void vrtc_guest_counter_init(struct vrtc_guest_counter *c, const struct vrtc_counter_config *config,
	const struct vrtc_pairing *pairing)
{
	*c = (struct vrtc_guest_counter){.config = *config, .pairing = pairing};
	vrtc_guest_counter_forget(c);
}

void vrtc_guest_counter_forget(struct vrtc_guest_counter *c)
{
	vrtc_kvm_debugfs_close(c->kvm);
	c->kvm = NULL;
	c->slot[0] = no_map;
	c->origin = VRTC_COUNTER_FROM_NOWHERE;
	c->generation = 0;
	c->offered = VIRTIO_RTC_COUNTER_INVALID;
	c->decided = false;
	atomic_store_explicit(&c->map, &c->slot[0], memory_order_relaxed);
	atomic_store_explicit(&c->pairs, 0, memory_order_relaxed);
	atomic_store_explicit(&c->doubt, 0, memory_order_relaxed);
	atomic_store_explicit(&c->doubt_max, 0, memory_order_relaxed);
	if (c->config.choice == VRTC_COUNTER_OFFSET) {
		struct vrtc_counter_map map =
			vrtc_counter_map_offset(NATIVE_COUNTER, c->config.offset);

		(void)set(c, &map, VRTC_COUNTER_FROM_CONFIG);
	}
}

bool vrtc_guest_counter_wants_message(const struct vrtc_guest_counter *c)
{
	return c->config.choice == VRTC_COUNTER_AUTO || c->config.choice == VRTC_COUNTER_VMM;
}

bool vrtc_guest_counter_wants_process(const struct vrtc_guest_counter *c)
{
	return !c->decided && (c->config.choice == VRTC_COUNTER_KVM ||
				      (c->config.choice == VRTC_COUNTER_AUTO &&
					      c->origin == VRTC_COUNTER_FROM_NOWHERE));
}

const char *vrtc_guest_counter_message(
	struct vrtc_guest_counter *c, const uint8_t *message, size_t bytes, bool *changed)
{
	struct vrtc_counter_map map;
	const char *why = vrtc_counter_map_parse(message, bytes, &map);

	*changed = false;
	if (!why)
		*changed = set(c, &map, VRTC_COUNTER_FROM_VMM);
	return why;
}

/* What the present map is worth: NULL, or why there can be no cross-timestamps with it. */
static const char *judge(const struct vrtc_guest_counter *c)
{
	const struct vrtc_counter_map *map = present(c);

	if (c->config.choice == VRTC_COUNTER_NONE)
		return "counter = none";
	if (c->origin == VRTC_COUNTER_FROM_NOWHERE)
		return c->config.choice == VRTC_COUNTER_KVM
			       ? "KVM does not tell the guest's counter"
			       : "the VMM does not tell the guest's counter";
	if (map->host_counter == VRTC_HOST_COUNTER_NONE)
		return c->pairing->cpu_unfit ? c->pairing->cpu_unfit
					     : "the VMM cannot tell the guest's counter";
	return NULL;
}

const char *vrtc_guest_counter_name(uint8_t hw_counter)
{
	return hw_counter == VIRTIO_RTC_COUNTER_X86_TSC   ? "X86_TSC"
	       : hw_counter == VIRTIO_RTC_COUNTER_ARM_VCT ? "ARM_VCT"
							  : "none";
}

/* The map by KVM's debugfs: NULL, or why there is none. */
static const char *ask_kvm(struct vrtc_guest_counter *c, const struct vrtc_peer_process *vmm)
{
	struct vrtc_counter_map map = no_map;
	enum vrtc_kvm_debugfs_result result;

	c->kvm = vrtc_kvm_debugfs_open("", vmm, &result);
	if (c->kvm)
		result = vrtc_kvm_debugfs_read(c->kvm, &map);
	if (result == VRTC_KVM_DEBUGFS_OK) {
		(void)set(c, &map, VRTC_COUNTER_FROM_KVM);
		return NULL;
	}
	vrtc_kvm_debugfs_close(c->kvm);
	c->kvm = NULL;
	return vrtc_kvm_debugfs_why(result);
}

const char *vrtc_guest_counter_origin_name(enum vrtc_counter_origin origin)
{
	static const char *const names[] = {
		[VRTC_COUNTER_FROM_NOWHERE] = "nowhere",
		[VRTC_COUNTER_FROM_CONFIG] = "the configuration",
		[VRTC_COUNTER_FROM_VMM] = "the VMM",
		[VRTC_COUNTER_FROM_KVM] = "KVM's debugfs",
	};

	return names[origin];
}

void vrtc_guest_counter_start(
	struct vrtc_guest_counter *c, const struct vrtc_peer_process *vmm, char *what)
{
	const char *why;

	what[0] = '\0';
	if (c->decided)
		return;
	why = vrtc_guest_counter_wants_process(c) ? ask_kvm(c, vmm) : NULL;
	c->decided = true;
	if (!why)
		why = judge(c);
	if (why) {
		snprintf(what, VRTC_GUEST_COUNTER_WHAT_BYTES, "no cross-timestamps: %s", why);
		return;
	}
	c->offered = present(c)->guest_counter;
	snprintf(what, VRTC_GUEST_COUNTER_WHAT_BYTES, "cross-timestamps with the guest's %s, by %s",
		vrtc_guest_counter_name(c->offered), vrtc_guest_counter_origin_name(c->origin));
}

bool vrtc_guest_counter_look(struct vrtc_guest_counter *c)
{
	struct vrtc_counter_map map = no_map;

	if (!c->kvm || c->origin != VRTC_COUNTER_FROM_KVM ||
		vrtc_kvm_debugfs_read(c->kvm, &map) == VRTC_KVM_DEBUGFS_NESTED)
		return false;
	return set(c, &map, VRTC_COUNTER_FROM_KVM);
}

static uint32_t ns_of(const struct vrtc_guest_counter *c, uint32_t counts)
{
	double counts_per_ns = c->pairing->counts_per_ns[present(c)->host_counter];

	return counts_per_ns > 0 ? (uint32_t)(counts / counts_per_ns) + 1 : 0;
}

void vrtc_guest_counter_status(
	const struct vrtc_guest_counter *c, struct vrtc_guest_counter_status *status)
{
	*status = (struct vrtc_guest_counter_status){
		.offered = c->offered,
		.origin = c->origin,
		.generation = c->generation,
		.map = *present(c),
		.pairs = atomic_load_explicit(&c->pairs, memory_order_relaxed),
		.doubt_ns = ns_of(c, atomic_load_explicit(&c->doubt, memory_order_relaxed)),
		.doubt_max_ns = ns_of(c, atomic_load_explicit(&c->doubt_max, memory_order_relaxed)),
	};
}
