/* Loaded before libc into one server process (LD_PRELOAD): shifts its wall clock and spoils its disk by what stands in a small
 * file that it shares with the soak. The monotonic clock stays as it is. Only regular files are spoiled. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct shared {
    volatile int64_t clock_ms;    /* added to CLOCK_REALTIME */
    volatile int64_t sync_ms;     /* each fsync and fdatasync waits so long first */
    volatile int64_t write_errno; /* writes fail with this; 0: they do not */
    volatile int64_t sync_errno;  /* fsync and fdatasync fail with this; 0: they do not */
    volatile int64_t read_errno;  /* reads at a place fail with this; 0: they do not */
    volatile int64_t write_short; /* not 0: a write takes half of what it is given */
    volatile int64_t write_ms;    /* each write waits so long first */
};

static struct shared *shared;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pread)(int, void *, size_t, off_t);

__attribute__((constructor)) static void begin(void) {
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_pread = dlsym(RTLD_NEXT, "pread64");
    const char *path = getenv("LOADTEST_CLOCK_FILE");
    if (!path) return;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof(struct shared))) return;
    void *place = mmap(0, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (place != MAP_FAILED) shared = place;
}

static void shift(struct timespec *now) {
    int64_t ms = shared ? shared->clock_ms : 0;
    now->tv_sec += ms / 1000;
    now->tv_nsec += (ms % 1000) * 1000000;
    if (now->tv_nsec < 0) { now->tv_nsec += 1000000000; now->tv_sec--; }
    if (now->tv_nsec >= 1000000000) { now->tv_nsec -= 1000000000; now->tv_sec++; }
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!real_clock_gettime) real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int outcome = real_clock_gettime(clock, now);
    if (!outcome && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) shift(now);
    return outcome;
}

int gettimeofday(struct timeval *now, void *zone) {
    (void)zone;
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise)) return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place) *place = now.tv_sec;
    return now.tv_sec;
}

static int is_regular(int file) {
    struct stat what;
    return !fstat(file, &what) && S_ISREG(what.st_mode);
}

static int refuses(int64_t error, int file) {
    if (!error || !is_regular(file)) return 0;
    errno = (int)error;
    return 1;
}

static void wait_ms(int64_t ms) {
    if (ms > 0) usleep(ms * 1000);
}

int fsync(int file) {
    if (shared) wait_ms(shared->sync_ms);
    return shared && refuses(shared->sync_errno, file) ? -1 : real_fsync(file);
}

int fdatasync(int file) {
    if (shared) wait_ms(shared->sync_ms);
    return shared && refuses(shared->sync_errno, file) ? -1 : real_fdatasync(file);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t at) {
    if (!shared) return real_pwrite(file, bytes, count, at);
    wait_ms(shared->write_ms);
    if (refuses(shared->write_errno, file)) return -1;
    if (shared->write_short && count > 1 && is_regular(file)) count = count / 2;
    return real_pwrite(file, bytes, count, at);
}
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) { return pwrite64(file, bytes, count, at); }

ssize_t pread64(int file, void *bytes, size_t count, off_t at) {
    if (!real_pread) real_pread = dlsym(RTLD_NEXT, "pread64");
    return shared && refuses(shared->read_errno, file) ? -1 : real_pread(file, bytes, count, at);
}
ssize_t pread(int file, void *bytes, size_t count, off_t at) { return pread64(file, bytes, count, at); }
