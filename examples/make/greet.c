#include "greet.h"

const char *greeting(void) { return "one and two are"; }
