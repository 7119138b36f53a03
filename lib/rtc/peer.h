/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our end of a front-end's connection, which rte_vhost accepts and keeps to itself. It is found
 * among the process's descriptors by the address that it is bound to.
 *
 * Any thread; control path only: looks at every descriptor of the process.
 */
#ifndef VRTC_PEER_H
#define VRTC_PEER_H

#include <stdbool.h>

/*
 * The connected socket that was accepted on a path and whose front-end is still there. Of several,
 * any: the caller sees to it that there is one at most.
 *
 * @param path  of the listening socket
 * @return      the descriptor, which stays rte_vhost's; -ENOTCONN: there is none, the front-end has
 *              gone again already; another -errno: we cannot tell
 */
int vrtc_peer_find(const char *path);

/* Whether the front-end has closed its end. */
bool vrtc_peer_is_gone(int fd);

#endif
