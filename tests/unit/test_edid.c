#include "protocol/edid.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

/* The extension's timing data come after section header, product, parameters and interface. */
#define TYPE1 (128 + 5 + 15 + 15 + 13 + 3)

struct parsed {
	uint32_t width, height, h_total, v_total, v_sync, width_mm, height_mm;
	double refresh;
};

/* The modes that a guest must get exactly, and whether they need the extension. */
static const struct {
	uint32_t width, height, refresh_mhz;
	bool extended;
} modes[] = {
	{1280, 480, 60000, false},
	{1920, 720, 60000, false},
	{1024, 768, 75000, false},
	{800, 600, 60000, false},
	{1280, 800, 59940, false},
	{1366, 768, 60000, false},
	{1920, 1080, 60000, false},
	{1920, 1200, 120000, false},
	{3840, 2160, 60000, false},
	{4095, 2160, 50000, false},
	{2560, 1440, 144000, false},
	{3840, 1080, 23976, false},
	{320, 240, 60000, false},
	{320, 240, 1000, false},
	{64, 64, 1000, false},
	{1, 1, 1000, false},
	{720, 1920, 60000, false},
	{1920, 1080, 1000000, true},
	{4096, 2160, 60000, true},
	{5120, 2160, 60000, true},
	{7680, 4320, 30000, true},
	{8192, 8192, 1000000, true},
	{8192, 1, 60000, true},
	{1, 8192, 60000, true},
};

static size_t generate(uint32_t width, uint32_t height, uint32_t refresh_mhz, uint8_t *edid)
{
	struct bn_edid_mode mode = {.width = width, .height = height, .refresh_mhz = refresh_mhz};

	return bn_edid_generate(&mode, edid);
}

static uint8_t sum(const uint8_t *bytes, size_t n)
{
	uint8_t total = 0;

	while (n--)
		total += *bytes++;
	return total;
}

/* Written from the standard, not from the generator: the layout that Linux' drm_edid.c reads. */
static struct parsed parse_detailed(const uint8_t *d)
{
	struct parsed p = {
		.width = d[2] | (d[4] & 0xf0) << 4,
		.height = d[5] | (d[7] & 0xf0) << 4,
		.v_sync = (d[10] & 0x0f) | (d[11] & 0x03) << 4,
		.width_mm = d[12] | (d[14] & 0xf0) << 4,
		.height_mm = d[13] | (d[14] & 0x0f) << 8,
	};

	p.h_total = p.width + (d[3] | (d[4] & 0x0f) << 8);
	p.v_total = p.height + (d[6] | (d[7] & 0x0f) << 8);
	p.refresh = (d[0] | d[1] << 8) * 10000.0 / ((double)p.h_total * p.v_total);
	return p;
}

static struct parsed parse_type1(const uint8_t *d)
{
	struct parsed p = {
		.width = (d[4] | d[5] << 8) + 1,
		.height = (d[12] | d[13] << 8) + 1,
	};

	p.h_total = p.width + (d[6] | d[7] << 8) + 1;
	p.v_total = p.height + (d[14] | d[15] << 8) + 1;
	p.refresh =
		((d[0] | d[1] << 8 | d[2] << 16) + 1) * 10000.0 / ((double)p.h_total * p.v_total);
	return p;
}

static void check_refresh(double refresh, uint32_t refresh_mhz)
{
	double error = refresh * 1000 / refresh_mhz - 1;

	CU_ASSERT(error < 0.0001 && error > -0.0001);
}

static void test_modes(void)
{
	uint8_t edid[BN_EDID_SIZE];

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		uint32_t width = modes[i].width, height = modes[i].height;
		size_t size = generate(width, height, modes[i].refresh_mhz, edid);
		struct parsed base = parse_detailed(edid + 54);

		CU_ASSERT_EQUAL(size, modes[i].extended ? 256 : 128);
		CU_ASSERT_EQUAL(edid[126], modes[i].extended ? 1 : 0);
		CU_ASSERT_EQUAL(sum(edid, 128), 0);
		check_refresh(base.refresh, modes[i].refresh_mhz);
		if (!modes[i].extended) {
			CU_ASSERT_EQUAL(base.width, width);
			CU_ASSERT_EQUAL(base.height, height);
			continue;
		}
		struct parsed real = parse_type1(edid + TYPE1);

		CU_ASSERT_EQUAL(real.width, width);
		CU_ASSERT_EQUAL(real.height, height);
		check_refresh(real.refresh, modes[i].refresh_mhz);
		CU_ASSERT(base.width * base.height < width * height);
		CU_ASSERT_EQUAL(sum(edid + 128, 128), 0);
		CU_ASSERT_EQUAL(sum(edid + 129, 126), 0);
	}
}

/* Guests offer every mode that they find or infer: nothing but the one timing may be there. */
static void test_only_one_mode(void)
{
	uint8_t edid[BN_EDID_SIZE];

	CU_ASSERT_EQUAL(generate(1280, 480, 60000, edid), 128);
	CU_ASSERT(edid[35] == 0 && edid[36] == 0 && edid[37] == 0);
	for (size_t i = 38; i < 54; i++)
		CU_ASSERT_EQUAL(edid[i], 0x01);
	CU_ASSERT_EQUAL(edid[24] & 0x01, 0); /* not continuous: no modes by formula */
	for (size_t at = 72; at < 126; at += 18) {
		CU_ASSERT(edid[at] == 0 && edid[at + 1] == 0);
		CU_ASSERT(edid[at + 3] == 0xfc || edid[at + 3] == 0xff || edid[at + 3] == 0x10);
	}
}

static void test_identity(void)
{
	static const uint8_t header[] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
	struct bn_edid_mode mode = {1280, 480, 60000, 300, 113, "Cluster", 0x12345678};
	uint8_t edid[BN_EDID_SIZE];
	uint32_t maker;

	CU_ASSERT_EQUAL(bn_edid_generate(&mode, edid), 128);
	CU_ASSERT_EQUAL(memcmp(edid, header, 8), 0);
	maker = edid[8] << 8 | edid[9];
	CU_ASSERT_EQUAL((maker >> 10) + '@', 'B');
	CU_ASSERT_EQUAL((maker >> 5 & 31) + '@', 'N');
	CU_ASSERT_EQUAL((maker & 31) + '@', 'C');
	CU_ASSERT_EQUAL(
		edid[12] | edid[13] << 8 | edid[14] << 16 | (uint32_t)edid[15] << 24, 0x12345678);
	CU_ASSERT(edid[18] == 1 && edid[19] == 4);
	CU_ASSERT(edid[21] == 30 && edid[22] == 11);
	CU_ASSERT_EQUAL(parse_detailed(edid + 54).width_mm, 300);
	CU_ASSERT_EQUAL(parse_detailed(edid + 54).height_mm, 113);
	CU_ASSERT_EQUAL(memcmp(edid + 72, "\0\0\0\xfc\0Cluster\n     ", 18), 0);
	CU_ASSERT_EQUAL(memcmp(edid + 90,
				"\0\0\0\xff\0"
				"305419896\n   ",
				18),
		0);
}

static void test_names(void)
{
	struct bn_edid_mode mode = {800, 600, 60000, 0, 0, "exactly 13 ch and more", 0};
	uint8_t edid[BN_EDID_SIZE];

	bn_edid_generate(&mode, edid);
	CU_ASSERT_EQUAL(memcmp(edid + 77, "exactly 13 ch", 13), 0);
	CU_ASSERT_EQUAL(edid[93], 0x10); /* no serial number: a dummy */
	mode.name = NULL;
	bn_edid_generate(&mode, edid);
	CU_ASSERT_EQUAL(memcmp(edid + 77, "Binnacle\n    ", 13), 0);
	mode.name = "a\nb\x80\x7f";
	bn_edid_generate(&mode, edid);
	CU_ASSERT_EQUAL(memcmp(edid + 77, "a?b??\n       ", 13), 0);
	/* 96 dpi */
	CU_ASSERT_EQUAL(parse_detailed(edid + 54).width_mm, 212);
	CU_ASSERT_EQUAL(parse_detailed(edid + 54).height_mm, 159);
	/* A wall has no size that fits. */
	mode.width_mm = 5000;
	mode.height_mm = UINT32_MAX;
	CU_ASSERT_EQUAL(bn_edid_generate(&mode, edid), 128);
	CU_ASSERT(edid[21] == 0 && edid[22] == 0);
	CU_ASSERT_EQUAL(parse_detailed(edid + 54).width_mm, 0);
}

static void test_out_of_range(void)
{
	uint8_t edid[BN_EDID_SIZE];

	CU_ASSERT_EQUAL(generate(0, 480, 60000, edid), 0);
	CU_ASSERT_EQUAL(generate(640, 0, 60000, edid), 0);
	CU_ASSERT_EQUAL(generate(8193, 480, 60000, edid), 0);
	CU_ASSERT_EQUAL(generate(640, 8193, 60000, edid), 0);
	CU_ASSERT_EQUAL(generate(UINT32_MAX, UINT32_MAX, 60000, edid), 0);
	CU_ASSERT_EQUAL(generate(640, 480, 999, edid), 0);
	CU_ASSERT_EQUAL(generate(640, 480, 1000001, edid), 0);
	CU_ASSERT_EQUAL(generate(640, 480, UINT32_MAX, edid), 0);
}

/* Every width, height and rate gives valid checksums and a timing whose numbers hang together. */
static void test_sweep(void)
{
	static const uint32_t rates[] = {1000, 23976, 30000, 59940, 60000, 75000, 144000, 1000000};
	uint8_t edid[BN_EDID_SIZE];
	unsigned wrong = 0, off = 0;

	for (uint32_t width = 64; width <= 8192; width += 129) {
		for (uint32_t height = 64; height <= 8192; height += 317) {
			uint32_t rate = rates[(width + height) % 8];
			size_t size = generate(width, height, rate, edid);
			struct parsed p =
				size == 256 ? parse_type1(edid + TYPE1) : parse_detailed(edid + 54);

			wrong += size == 0 || sum(edid, 128) ||
				 (size == 256 && sum(edid + 128, 128)) || p.width != width ||
				 p.height != height;
			off += p.refresh * 1000 / rate < 0.9999 || p.refresh * 1000 / rate > 1.0001;
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(off, 0);
}

static bool decoder_accepts(const uint8_t *edid, size_t size)
{
	char path[] = "/tmp/binnacle-edid-XXXXXX", command[128];
	int fd = mkstemp(path);
	bool ok;

	CU_ASSERT_FATAL(fd >= 0);
	ok = write(fd, edid, size) == (ssize_t)size;
	close(fd);
	snprintf(command, sizeof(command), "edid-decode --check %s >%s.log 2>&1", path, path);
	ok = ok && system(command) == 0;
	snprintf(command, sizeof(command), "cat %s.log", path);
	if (!ok && system(command) != 0)
		perror(command);
	snprintf(command, sizeof(command), "%s.log", path);
	unlink(command);
	unlink(path);
	return ok;
}

static void test_decoder(void)
{
	struct bn_edid_mode named = {1920, 720, 60000, 310, 116, "Cockpit 12.3\"", 7};
	uint8_t edid[BN_EDID_SIZE];

	if (system("command -v edid-decode >/dev/null") != 0) {
		printf("skipped, edid-decode is not installed ... ");
		return;
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		/* No display is a line of pixels or a kilohertz fast, which the decoder says. */
		if (modes[i].width < 64 || modes[i].height < 64 || modes[i].refresh_mhz > 500000)
			continue;
		size_t size = generate(modes[i].width, modes[i].height, modes[i].refresh_mhz, edid);

		CU_ASSERT(decoder_accepts(edid, size));
	}
	CU_ASSERT(decoder_accepts(edid, bn_edid_generate(&named, edid)));
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		{"modes come out as given", test_modes},
		{"only one mode", test_only_one_mode},
		{"identity", test_identity},
		{"names and sizes", test_names},
		{"out of range", test_out_of_range},
		{"sweep", test_sweep},
		{"edid-decode --check", test_decoder},
		CU_TEST_INFO_NULL,
	};

	return bn_unit_main("edid", tests);
}
