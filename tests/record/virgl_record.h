/* The file format of recorded virgl streams: what a client told its renderer, in order, ready to be
 * told again. 32-bit words of the machine's byte order (little-endian in the tree); the file begins
 * with BN_RECORD_MAGIC, then records: type, number of words that follow, the words. */
#ifndef BN_TESTS_VIRGL_RECORD_H
#define BN_TESTS_VIRGL_RECORD_H

#define BN_RECORD_MAGIC 0x31534e42u /* "BNS1" */

enum bn_record_type {
	/* id, target, format, bind, width, height, depth, array size, last level, samples, bytes of
	 * guest memory behind it */
	BN_RECORD_CREATE = 1,
	BN_RECORD_UNREF = 2, /* id */
	BN_RECORD_MEMORY =
		3, /* id, byte offset, bytes, then these: the guest wrote to its memory */
	BN_RECORD_UPLOAD = 4, /* id, level, x, y, z, width, height, depth, byte offset */
	BN_RECORD_SUBMIT = 5, /* a command stream */
	BN_RECORD_SHOWN = 6,  /* id: the client took the picture */
};

#define BN_RECORD_CREATE_WORDS 11u
#define BN_RECORD_UPLOAD_WORDS 9u

#endif
