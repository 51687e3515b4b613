/* bind(2) and connect(2) in front of the C library's, for programs that can't be told all that the lab needs: who would listen
   on all addresses listens on loopback; who has MTLS_RUN_LOCAL_PORT in its environment connects from that port. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef int (*Call)(int, const struct sockaddr *, socklen_t);

static void keep_on_loopback(int socket, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    int only = 0;
    socklen_t size = sizeof only;

    if (address->ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_ANY))
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (address->ss_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
        return;
    getsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size);
    v6->sin6_addr = in6addr_loopback;
    if (!only) { /* ::ffff:127.0.0.1, for a socket that would take IPv4, too */
        memset(&v6->sin6_addr, 0, sizeof v6->sin6_addr);
        memcpy(v6->sin6_addr.s6_addr + 10, "\xff\xff\x7f\x00\x00\x01", 6);
    }
}

int bind(int socket, const struct sockaddr *address, socklen_t length)
{
    Call next = (Call)dlsym(RTLD_NEXT, "bind");
    struct sockaddr_storage own;

    if (address == NULL || length > sizeof own)
        return next(socket, address, length);
    memcpy(&own, address, length);
    keep_on_loopback(socket, &own);
    return next(socket, (struct sockaddr *)&own, length);
}

int connect(int socket, const struct sockaddr *address, socklen_t length)
{
    Call next = (Call)dlsym(RTLD_NEXT, "bind");
    const char *port = getenv("MTLS_RUN_LOCAL_PORT");

    if (port != NULL && address != NULL && address->sa_family == AF_INET) {
        struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
        next(socket, (struct sockaddr *)&from, sizeof from);
    }
    if (port != NULL && address != NULL && address->sa_family == AF_INET6) {
        struct sockaddr_in6 from = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)atoi(port))};
        next(socket, (struct sockaddr *)&from, sizeof from);
    }
    return ((Call)dlsym(RTLD_NEXT, "connect"))(socket, address, length);
}
