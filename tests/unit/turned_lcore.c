/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An alarm lcore without a thread: it takes one turn when it is asked something, in place of
 * vrtc_alarm_lcore_ask() (--wrap), and has answered by then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alarm_lcore.h"

int seen_ask(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail) __asm__(
	"__wrap_vrtc_alarm_lcore_ask");

int seen_ask(struct vrtc_alarm_lcore *l, struct vrtc_alarm_mail *mail)
{
	vrtc_alarm_lcore_send(l, mail);
	assert_false(vrtc_alarm_mail_done(mail));
	(void)vrtc_alarm_lcore_turn(l);
	assert_true(vrtc_alarm_mail_done(mail));
	return mail->rc;
}
