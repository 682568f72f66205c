#ifndef REJOIN_FREESTANDING_STDBOOL_H
#define REJOIN_FREESTANDING_STDBOOL_H
#define bool _Bool
#define true 1
#define false 0
#endif
