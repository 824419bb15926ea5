/* Resources for tests of the GL library. */
#ifndef BN_TESTS_GL_ARGS_H
#define BN_TESTS_GL_ARGS_H

#include "gl.h"
#include "virgl_stream.h"

static inline struct bn_gl_resource_args gl_picture(
	uint32_t id, uint32_t format, uint32_t bind, uint32_t width, uint32_t height)
{
	return (struct bn_gl_resource_args){
		.id = id,
		.target = BN_VIRGL_TARGET_2D,
		.format = format,
		.bind = BN_VIRGL_BIND_RENDER_TARGET | bind,
		.width = width,
		.height = height,
		.depth = 1,
		.array_size = 1,
	};
}

static inline struct bn_gl_resource_args gl_buffer(uint32_t id, uint32_t bind, uint32_t size)
{
	return (struct bn_gl_resource_args){
		.id = id,
		.target = BN_VIRGL_TARGET_BUFFER,
		.format = BN_VIRGL_FORMAT_R8,
		.bind = bind,
		.width = size,
		.height = 1,
		.depth = 1,
		.array_size = 1,
	};
}

#endif
