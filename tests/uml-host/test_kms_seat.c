/* A card that a seat manager lends: another session comes to the front, as with a VT switch, and goes again. */
#include <dlfcn.h>
#include <libseat.h>
#include <poll.h>

#include "kms_rig.h"
#include "other_session.h"

static struct libseat *our_seat;

/* The output's own seat is known by this. */
__attribute__((visibility("default"))) struct libseat *libseat_open_seat(
	const struct libseat_seat_listener *listener, void *data)
{
	struct libseat *(*real)(const struct libseat_seat_listener *listener, void *data);

	*(void **)&real = dlsym(RTLD_NEXT, "libseat_open_seat");
	our_seat = real(listener, data);
	return our_seat;
}

static struct kms_rig rig;
static struct wl_event_loop *loop;

static bool is_active(bool active)
{
	for (unsigned i = 0; i < 1000 && kms_rig_status(&rig).active != active; i++)
		kms_rig_run(loop, 10);
	return kms_rig_status(&rig).active == active;
}

/* Our side goes on meanwhile: the seat manager waits for it. */
static void wait_for(struct other_session *other, char what)
{
	struct pollfd p = {.fd = other->from, .events = POLLIN};

	for (unsigned i = 0; i < 1000 && poll(&p, 1, 0) == 0; i++)
		kms_rig_run(loop, 10);
	other_session_expect(other, what);
}

static void submit_some(void)
{
	for (unsigned i = 0; i < 5; i++) {
		struct bn_buffer *buffer = kms_rig_buffer(0xff2050a0 + i, 100, 80);
		unsigned before = kms_rig_presented[BN_PRESENTED_SHOWN];

		kms_rig_submit(rig.scene.layers[0], buffer);
		bn_buffer_drop(buffer);
		for (unsigned k = 0; k < 1000 && kms_rig_presented[BN_PRESENTED_SHOWN] == before;
			k++)
			kms_rig_run(loop, 5);
		CU_ASSERT_EQUAL(kms_rig_presented[BN_PRESENTED_SHOWN], before + 1);
	}
}

static unsigned calls;

static void count_call(void *data)
{
	(*(unsigned *)data)++;
}

static void test_switch(void)
{
	struct other_session other;

	other_session_start(&other);
	loop = wl_event_loop_create();
	CU_ASSERT_EQUAL_FATAL(kms_rig_open(&rig, loop, "/dev/dri/card0", "", 640, 480, 60000), 0);
	CU_ASSERT(bn_kms_output_of(rig.scene.output)->card->seat_device >= 0);
	kms_rig_layer(&rig, 0xff103050, 40, 30, 100, 80);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);

	other_session_enter(&other);
	wait_for(&other, 'w');
	/* They are numbered from 0 in the order in which they came. */
	CU_ASSERT_EQUAL(libseat_switch_session(our_seat, 1), 0);
	wait_for(&other, 'f');
	CU_ASSERT(is_active(false));
	submit_some();

	other_session_leave(&other);
	CU_ASSERT(is_active(true));
	submit_some();
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	kms_rig_close(&rig);
	wl_event_loop_destroy(loop);
}

/* Another session has the card when we start. */
static void begin_behind(struct other_session *other)
{
	other_session_start(other);
	other_session_enter(other);
	other_session_expect(other, 'w');
	other_session_expect(other, 'f');
	loop = wl_event_loop_create();
}

/* Started while another session is in front: nothing is lent to us. Guests go on, and when it is our turn all is there. */
static void test_background(void)
{
	struct kms_rig second;
	struct other_session other;

	begin_behind(&other);
	CU_ASSERT_EQUAL_FATAL(kms_rig_open(&rig, loop, "", "", 640, 480, 60000), 0);
	/* A second display, which there is none for. */
	CU_ASSERT_EQUAL_FATAL(
		kms_rig_open(&second, loop, "/dev/dri/card9", "", 640, 480, 60000), 0);
	CU_ASSERT(bn_kms_output_of(rig.scene.output)->card->waiting);
	CU_ASSERT_EQUAL(kms_rig_status(&rig).planes, 0);
	kms_rig_layer(&rig, 0xff103050, 40, 30, 100, 80);
	submit_some();
	CU_ASSERT(!kms_rig_status(&rig).active);
	bn_output_set_mode_handler(rig.scene.output, count_call, &calls);

	other_session_leave(&other);
	CU_ASSERT(is_active(true));
	CU_ASSERT_EQUAL(calls, 1);
	CU_ASSERT(kms_rig_status(&rig).planes > 1);
	submit_some();
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	/* The other waits on, and does no harm. */
	CU_ASSERT(bn_kms_output_of(second.scene.output)->card->waiting);
	kms_rig_close(&second);
	CU_ASSERT_EQUAL(kms_rig_distance(&rig), 0);
	kms_rig_close(&rig);
	wl_event_loop_destroy(loop);
}

/* Nor does it do any to end before it was our turn. */
static void test_never(void)
{
	struct other_session other;

	begin_behind(&other);
	CU_ASSERT_EQUAL_FATAL(kms_rig_open(&rig, loop, "vkms", "", 640, 480, 60000), 0);
	kms_rig_layer(&rig, 0xff103050, 40, 30, 100, 80);
	submit_some();
	kms_rig_close(&rig);
	wl_event_loop_destroy(loop);
	other_session_leave(&other);
}

static const CU_TestInfo tests[] = {
	/* First: it counts sessions. */
	{"another session comes and goes", test_switch},
	{"started in the background", test_background},
	{"ended in the background", test_never},
	CU_TEST_INFO_NULL,
};

int main(void)
{
	return bn_unit_main("kms_seat", tests);
}
