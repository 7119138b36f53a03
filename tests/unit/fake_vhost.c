/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_vhost.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fake_vhost vhost;

static int refused_at(enum fake_vhost_step step)
{
	if (vhost.refused != step)
		return 0;
	errno = vhost.err;
	return -1;
}

int seen_register(const char *path, uint64_t flags) __asm__("__wrap_rte_vhost_driver_register");
int seen_features(const char *path, uint64_t features) __asm__(
	"__wrap_rte_vhost_driver_set_features");
int seen_protocol(const char *path, uint64_t features) __asm__(
	"__wrap_rte_vhost_driver_set_protocol_features");
int seen_callbacks(const char *path, const struct rte_vhost_device_ops *ops) __asm__(
	"__wrap_rte_vhost_driver_callback_register");
int seen_start(const char *path) __asm__("__wrap_rte_vhost_driver_start");
int seen_extern(int vid, const struct rte_vhost_user_extern_ops *ops, void *context) __asm__(
	"__wrap_rte_vhost_extern_callback_register");
int seen_ifname(int vid, char *path, size_t bytes) __asm__("__wrap_rte_vhost_get_ifname");
int seen_mem_table(int vid, struct rte_vhost_memory **mem) __asm__(
	"__wrap_rte_vhost_get_mem_table");
int seen_vring(int vid, uint16_t index, struct rte_vhost_vring *vring) __asm__(
	"__wrap_rte_vhost_get_vhost_vring");
int seen_get_base(int vid, uint16_t index, uint16_t *avail, uint16_t *used) __asm__(
	"__wrap_rte_vhost_get_vring_base");
int seen_set_base(int vid, uint16_t index, uint16_t avail, uint16_t used) __asm__(
	"__wrap_rte_vhost_set_vring_base");
int seen_negotiated(int vid, uint64_t *features) __asm__(
	"__wrap_rte_vhost_get_negotiated_features");
int seen_log_base(int vid, uint64_t *base, uint64_t *bytes) __asm__(
	"__wrap_rte_vhost_get_log_base");
int seen_peer_find(const char *path, bool client) __asm__("__wrap_vrtc_peer_find");
void seen_hang_up(const char *path, bool client) __asm__("__wrap_vrtc_peer_hang_up");
int seen_register(const char *path, uint64_t flags)
{
	assert_string_equal(path, FAKE_VHOST_PATH);
	vhost.flags = flags;
	return refused_at(FAKE_VHOST_REGISTER);
}

int seen_features(const char *path, uint64_t features)
{
	assert_string_equal(path, FAKE_VHOST_PATH);
	vhost.features = features;
	return refused_at(FAKE_VHOST_FEATURES);
}

int seen_protocol(const char *path, uint64_t features)
{
	assert_string_equal(path, FAKE_VHOST_PATH);
	vhost.protocol = features;
	return refused_at(FAKE_VHOST_PROTOCOL);
}

int seen_callbacks(const char *path, const struct rte_vhost_device_ops *ops)
{
	assert_string_equal(path, FAKE_VHOST_PATH);
	vhost.ops = ops;
	return refused_at(FAKE_VHOST_CALLBACKS);
}

int seen_start(const char *path)
{
	assert_string_equal(path, FAKE_VHOST_PATH);
	return refused_at(FAKE_VHOST_START);
}

int seen_extern(int vid, const struct rte_vhost_user_extern_ops *ops, void *context)
{
	assert_in_range(vid, 0, FAKE_VHOST_VIDS - 1);
	assert_null(context);
	vhost.messages = ops;
	return vhost.no_messages ? -1 : 0;
}

int seen_ifname(int vid, char *path, size_t bytes)
{
	(void)vid;
	if (!vhost.path)
		return -1;
	snprintf(path, bytes, "%s", vhost.path);
	return 0;
}

int seen_mem_table(int vid, struct rte_vhost_memory **mem)
{
	(void)vid;
	if (vhost.no_memory)
		return -1;
	*mem = calloc(1, sizeof(**mem) + sizeof(vhost.region));
	assert_non_null(*mem);
	(*mem)->nregions = vhost.n_regions;
	memcpy((*mem)->regions, vhost.region, sizeof(vhost.region));
	return 0;
}

int seen_vring(int vid, uint16_t index, struct rte_vhost_vring *vring)
{
	(void)vid;
	assert_in_range(index, 0, 1);
	*vring = vhost.vring;
	return vhost.no_vring ? -1 : 0;
}

int seen_get_base(int vid, uint16_t index, uint16_t *avail, uint16_t *used)
{
	(void)vid;
	assert_in_range(index, 0, 1);
	*avail = 0;
	*used = 0;
	return vhost.no_base ? -1 : 0;
}

int seen_set_base(int vid, uint16_t index, uint16_t avail, uint16_t used)
{
	assert_int_equal(vid, FAKE_VHOST_VID);
	assert_in_range(index, 0, 1);
	assert_int_equal(avail, used);
	return 0;
}

int seen_negotiated(int vid, uint64_t *features)
{
	(void)vid;
	*features = vhost.negotiated;
	return vhost.no_features ? -1 : 0;
}

int seen_log_base(int vid, uint64_t *base, uint64_t *bytes)
{
	(void)vid;
	*base = (uint64_t)(uintptr_t)vhost.vring.desc;
	*bytes = 8;
	return vhost.no_log ? -1 : 0;
}

int seen_peer_find(const char *path, bool client)
{
	(void)client;
	assert_string_equal(path, FAKE_VHOST_PATH);
	return vhost.peer_fd;
}

void seen_hang_up(const char *path, bool client)
{
	(void)client;
	assert_string_equal(path, FAKE_VHOST_PATH);
	vhost.hung_up++;
}
