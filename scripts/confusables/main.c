// Writes internal/lookalike/confusables.txt: for each prototype of UTS #39 the
// characters that look like it, as ICU's copy of Unicode's confusables.txt has them.
//
//   cc scripts/confusables/main.c -licui18n -licuuc -o /tmp/confusables && /tmp/confusables > internal/lookalike/confusables.txt
//
// A line is a character, a space and its prototype, each in UTF-8.
#include <stdio.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uspoof.h>
#include <unicode/unorm2.h>
#include <unicode/uversion.h>

int main(void) {
  UErrorCode e = U_ZERO_ERROR;
  USpoofChecker *c = uspoof_open(&e);
  const UNormalizer2 *nfd = unorm2_getNFDInstance(&e);
  if (U_FAILURE(e)) return 1;
  printf("# Unicode Security Mechanisms (UTS #39), confusables of Unicode %s, written by scripts/confusables with ICU %s.\n", U_UNICODE_VERSION, U_ICU_VERSION);
  printf("# Copyright 1991-2022 Unicode, Inc.; https://www.unicode.org/terms_of_use.html\n");
  for (UChar32 r = 0x21; r <= 0x10ffff; r++) {
    int8_t t = u_charType(r);
    if (t == U_UNASSIGNED || t == U_SURROGATE || t == U_PRIVATE_USE_CHAR || t == U_CONTROL_CHAR || u_isUWhiteSpace(r)) continue;
    if (u_hasBinaryProperty(r, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) continue;
    UChar in[2], out[64];
    int32_t n = 0;
    U16_APPEND_UNSAFE(in, n, r);
    if (!unorm2_isNormalized(nfd, in, n, &e)) continue; // its parts are looked up
    char from[8], to[200];
    int32_t a = 0, b;
    U8_APPEND_UNSAFE(from, a, r);
    b = uspoof_getSkeletonUTF8(c, 0, from, a, to, sizeof to - 1, &e);
    if (U_FAILURE(e)) return 1;
    from[a] = to[b] = 0;
    if (a != b || memcmp(from, to, a)) printf("%s %s\n", from, to);
  }
  return 0;
}
