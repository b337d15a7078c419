/*
 * The wall clock of a process, as a file says it: microseconds since the epoch in the first eight bytes of the file
 * that RELEVO_CLOCK names. Preloaded into a server, so that a test moves the server's clock by writing that file.
 * Durations (the monotonic clocks) stay real. No header and no allocation: allocators ask for the time too.
 */
#ifdef __aarch64__
#define CLOCK_GETTIME 113
#define OPENAT 56
#define MMAP 222
#else
#define CLOCK_GETTIME 228
#define OPENAT 257
#define MMAP 9
#endif
#define CURRENT_FOLDER -100L
#define PAGE 4096L
#define PROT_READ 1L
#define MAP_SHARED 1L
#define REALTIME 0
#define REALTIME_COARSE 5

extern long syscall(long number, ...);
extern char *getenv(const char *name);
extern void abort(void);

struct instant {
  long seconds;
  long fraction;
};

static const volatile long *now;

static long micros(void) {
  if (!now) {
    const char *path = getenv("RELEVO_CLOCK");
    long file = path ? syscall(OPENAT, CURRENT_FOLDER, path, 0L, 0L) : -1;
    long page = file < 0 ? -1 : syscall(MMAP, 0L, PAGE, PROT_READ, MAP_SHARED, file, 0L);
    if (page == -1) abort();
    now = (const volatile long *)page;
  }
  return *now;
}

int clock_gettime(int clock, struct instant *time) {
  if (clock != REALTIME && clock != REALTIME_COARSE) return (int)syscall(CLOCK_GETTIME, (long)clock, time);
  long us = micros();
  time->seconds = us / 1000000;
  time->fraction = us % 1000000 * 1000;
  return 0;
}

int gettimeofday(struct instant *time, void *zone) {
  long us = micros();
  (void)zone;
  time->seconds = us / 1000000;
  time->fraction = us % 1000000;
  return 0;
}

long time(long *seconds) {
  long whole = micros() / 1000000;
  if (seconds) *seconds = whole;
  return whole;
}
