#include "bad.h"

struct e2e e;
struct bystander *cluster;
static int daemon_fds;

static const char config[] = "[output dash]\nmode=128x96@60\n"
			     "[output centre]\nmode=128x96@60\n"
			     "[vm cluster]\nscanout.0=dash\ngl=no\n"
			     "[vm evil]\nscanout.0=centre\nmemory-max=64M\n";

/* What a closed connection leaves is on its way out for a moment. */
static void count_fds(void)
{
	CU_ASSERT_TRUE(e2e_vm_wait_is(&e, "evil", "renderer_ready", 1));
	for (unsigned i = 0; i < 100 && daemon_fds && e2e_fd_count(e.daemon) > daemon_fds; i++)
		e2e_sleep_ms(20);
	int now = e2e_fd_count(e.daemon);
	CU_ASSERT_TRUE(now > 0);
	if (daemon_fds && now > daemon_fds)
		fprintf(stderr, "\nbinnacled: %d fds at the start, %d now\n", daemon_fds, now);
	CU_ASSERT_TRUE(!daemon_fds || now <= daemon_fds);
	daemon_fds = now;
}

void bad_start(void)
{
	struct tg_vm vm;
	e2e_open(&e, config);
	cluster = bystander_start(&e, "cluster", W, H);
	if (!bad_open(&vm))
		return;
	bad_close(&vm);
	count_fds();
}

void bad_stop(void)
{
	if (cluster)
		count_fds();
	bystander_stop(cluster);
	cluster = NULL;
	e2e_close(&e);
}

bool bad_open(struct tg_vm *vm)
{
	int err = tg_vm_open(vm, e2e_socket(&e, "evil"), NULL);
	CU_ASSERT_EQUAL(err, 0);
	if (err)
		tg_vm_close(vm);
	return !err;
}

void bad_serves_on(struct tg_vm *vm)
{
	struct tg_image image;
	static uint32_t pixels[W * H];
	static uint32_t seed;
	CU_ASSERT_EQUAL_FATAL(tg_image_init(&image, vm, -1, W, H), 0);
	tg_pattern(pixels, W, H, ++seed);
	tg_image_write(&image, pixels);
	E2E_OK(tg_image_resource(&image, 900));
	E2E_OK(tg_transfer_2d(vm, 900, tg_rect(0, 0, W, H), 0));
	E2E_OK(tg_set_scanout(vm, 0, 900, tg_rect(0, 0, W, H)));
	E2E_OK(tg_finish(tg_flush_async(vm, 900, tg_rect(0, 0, W, H)), NULL, 0));
	CU_ASSERT_EQUAL(e2e_differences(&e, "centre", pixels, 0, 0, W, H), 0);
	E2E_OK(tg_unref(vm, 900));
	tg_image_finish(&image);
	CU_ASSERT_EQUAL(vm->ring[TG_CONTROL].strays, 0);
	CU_ASSERT_EQUAL(vm->ring[TG_CURSOR].strays, 0);
}

void bad_close(struct tg_vm *vm)
{
	bad_serves_on(vm);
	tg_vm_close(vm);
	bystander_check(cluster);
}

bool bad_is_error(uint32_t type)
{
	return type >= VIRTIO_GPU_RESP_ERR_UNSPEC && type <= VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
}

void bad_assert_error(uint32_t got, const char *call, const char *file, int line)
{
	if (!bad_is_error(got))
		fprintf(stderr, "\n%s:%d: %s: answered 0x%x, expected an error\n", file, line, call,
			got);
	CU_assertImplementation(bad_is_error(got), (unsigned)line, call, file, "", CU_FALSE);
}

void bad_reset(struct tg_vm *vm)
{
	CU_ASSERT_EQUAL(tg_front_set(&vm->front, BN_VU_RESET_DEVICE, NULL, 0, NULL, 0), 0);
	tg_vm_forget(vm);
	CU_ASSERT_EQUAL_FATAL(tg_vm_start(vm), 0);
}
