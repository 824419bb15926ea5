#include "metrics_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "common/config.h"

static bool read_ipv4(
	const char *host, uint16_t port, struct sockaddr_storage *out, socklen_t *size)
{
	struct sockaddr_in *a = (struct sockaddr_in *)out;
	*a = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	*size = sizeof(*a);
	return inet_pton(AF_INET, host, &a->sin_addr) == 1 &&
	       ntohl(a->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool read_ipv6(
	const char *host, uint16_t port, struct sockaddr_storage *out, socklen_t *size)
{
	struct sockaddr_in6 *a = (struct sockaddr_in6 *)out;
	*a = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
	*size = sizeof(*a);
	return inet_pton(AF_INET6, host, &a->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&a->sin6_addr);
}

bool bn_metrics_address(const char *text, struct sockaddr_storage *out, socklen_t *size)
{
	char host[INET6_ADDRSTRLEN + 2];
	unsigned port;
	const char *colon = strrchr(text, ':');
	if (!colon || colon == text || (size_t)(colon - text) >= sizeof(host) ||
		!bn_config_uint(colon + 1, 1, 65535, &port))
		return false;
	size_t len = (size_t)(colon - text);
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] != '[')
		return read_ipv4(host, (uint16_t)port, out, size);
	if (host[len - 1] != ']')
		return false;
	host[len - 1] = '\0';
	return read_ipv6(host + 1, (uint16_t)port, out, size);
}
