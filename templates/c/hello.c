/* Says hello by way of zlib: the greeting goes through deflate and inflate and comes out whole. */
#include <stdio.h>
#include <string.h>
#include <zlib.h>

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "world";
    char greeting[256];
    Bytef packed[512];
    char unpacked[256];
    int length = snprintf(greeting, sizeof greeting, "Hello, %s!", name);
    if (length < 0 || (size_t)length >= sizeof greeting) {
        fprintf(stderr, "hello: the name is too long\n");
        return 1;
    }
    uLongf packed_size = sizeof packed;
    uLongf unpacked_size = sizeof unpacked;
    if (compress(packed, &packed_size, (const Bytef *)greeting, (uLong)length + 1) != Z_OK ||
        uncompress((Bytef *)unpacked, &unpacked_size, packed, packed_size) != Z_OK) {
        fprintf(stderr, "hello: zlib failed\n");
        return 1;
    }
    printf("%s (zlib %s)\n", unpacked, zlibVersion());
    return strcmp(greeting, unpacked) == 0 ? 0 : 1;
}
