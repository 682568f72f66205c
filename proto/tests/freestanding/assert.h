#undef assert
#define assert(condition) ((condition) ? (void)0 : rejoin_assert_failed())
#ifndef REJOIN_FREESTANDING_ASSERT_H
#define REJOIN_FREESTANDING_ASSERT_H
#define static_assert _Static_assert
void rejoin_assert_failed(void);
#endif
