/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our end of a front-end's connection, which rte_vhost makes and keeps to itself. It is found among
 * the process's descriptors by the address that the listening end is bound to.
 *
 * Any thread; control path only: looks at every descriptor of the process.
 */
#ifndef VRTC_PEER_H
#define VRTC_PEER_H

#include <stdbool.h>
#include <stdint.h>

/* A process, as the kernel of this host names it; a pid alone is used again. */
struct vrtc_peer_process {
	uint64_t pid;
	uint64_t start_ticks; /* of /proc/PID/stat */
};

/*
 * The connected socket that was accepted on a path, or connected to it, and whose front-end is
 * still there. Of several that were accepted, any: the caller sees to it that there is one at most.
 *
 * Where we listen, the name of our own end alone is looked at: theirs is of the front-end's choice,
 * and may be another device's path.
 *
 * @param path    of the listening socket, ours or the front-end's
 * @param client  we have connected
 * @return        the descriptor, which stays rte_vhost's; -ENOTCONN: there is none, the front-end
 *                has gone again already; another -errno: we cannot tell, as where two listeners
 *                have the same name (-ENOTUNIQ)
 */
int vrtc_peer_find(const char *path, bool client);

/* Whether the front-end has closed its end. */
bool vrtc_peer_is_gone(int fd);

/*
 * Ends the connection that vrtc_peer_find() finds: its reader, rte_vhost, reads the end of it and
 * closes it. Nothing happens where none is found.
 */
void vrtc_peer_hang_up(const char *path, bool client);

/*
 * Bounds how long a read or a write of a connection may block: rte_vhost takes a read that fails
 * for the connection's end. For the thread that is about to read from it.
 */
void vrtc_peer_bound_waits(int fd, unsigned timeout_s);

/*
 * The process that made the front-end's end (that listens, where we connected).
 *
 * @return  false: unknown, as where it is in another PID namespace; *process is then all zero
 */
bool vrtc_peer_process(int fd, struct vrtc_peer_process *process);

/* Whether it is still there, it and not another one of its pid. */
bool vrtc_peer_process_runs(const struct vrtc_peer_process *process);

#endif
