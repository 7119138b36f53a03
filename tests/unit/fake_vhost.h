/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An rte_vhost, and the connection behind it, that say what a test has put into `vhost`, and keep
 * there what they are told: for one device, at FAKE_VHOST_PATH. Its functions come here by the
 * linker's --wrap; its callbacks (ops, messages) are the test's to call.
 */
#ifndef FAKE_VHOST_H
#define FAKE_VHOST_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_vhost.h>

#define FAKE_VHOST_PATH "/tmp/no-such-folder/rtc.sock"
#define FAKE_VHOST_VID  5    /* of its connection */
#define FAKE_VHOST_VIDS 1024 /* rte_vhost's RTE_MAX_VHOST_DEVICE */

/* What opening a device takes, in order. */
enum fake_vhost_step {
	FAKE_VHOST_REGISTER,
	FAKE_VHOST_FEATURES,
	FAKE_VHOST_PROTOCOL,
	FAKE_VHOST_CALLBACKS,
	FAKE_VHOST_START,
	FAKE_VHOST_NO_STEP,
};

struct fake_vhost {
	enum fake_vhost_step refused;
	int err; /* errno of what is refused */
	/* What the back-end has registered. */
	const struct rte_vhost_device_ops *ops;
	const struct rte_vhost_user_extern_ops *messages;
	uint64_t flags;
	uint64_t features;
	uint64_t protocol;
	/* What it is told of the connection. */
	const char *path; /* NULL: none */
	bool no_messages;
	bool no_memory;
	bool no_vring;
	bool no_base;
	bool no_features;
	bool no_log;
	uint64_t negotiated;
	struct rte_vhost_mem_region region[2];
	unsigned n_regions;
	struct rte_vhost_vring vring;
	int peer_fd; /* its socket, as vrtc_peer_find() says */
	int hung_up; /* how often */
};

extern struct fake_vhost vhost;

#endif
