// PCRE2's names are macros over the code-unit width; the inline functions give Swift the 8-bit ones.
#pragma once
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
