#include <stdio.h>
#include "greet.h"

int main(void) {
    printf("%s %d\n", greeting(), one() + two());
    return 0;
}
