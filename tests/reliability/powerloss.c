/*
 * A disk that loses its power: an LD_PRELOAD library for a process that is going to be killed.
 *
 * The process writes its files as usual. Beside them this library keeps an image of the folder
 * POWERLOSS_FOLDER in the folder POWERLOSS_IMAGE that holds only what fsync() or fdatasync() has
 * promised to be on the disk. The process is killed; what it would find after a power cut is the image.
 * Both folders are empty at the beginning.
 *
 * The image is the worst case for contents, and as ext4 and XFS are for names: the kernel writes nothing
 * back by itself; a file appears at its first sync, with its name; a removal or a renaming is on the disk
 * at once. Wal-indexes (-shm) are left out: they are memory that happens to have a name.
 *
 * Watched are the calls by which SQLite and Python write: open, creat, write, pwrite, ftruncate, fsync,
 * fdatasync, close, unlink and rename, with their variants. A file that is written otherwise (mmap,
 * writev, fallocate, a duplicated descriptor) would lack those bytes in the image.
 *
 * No file of the folder is ever opened or closed here: closing any descriptor of a file gives up all the
 * locks that the process holds on it.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "file offsets have 64 bits");

#define DESCRIPTORS 4096

struct range {
    off_t start;
    off_t end;
};

/* One inode that was opened for writing. */
struct file {
    struct file *next;
    dev_t device;
    ino_t inode;
    char name[PATH_MAX]; /* relative to the folder */
    int exists;          /* 0 once it was removed */
    off_t shortest;      /* its shortest length since the last sync; -1 if it was not cut */
    struct range *dirty; /* written since the last sync, oldest first */
    size_t count;
    size_t room;
};

static int (*real_openat)(int, const char *, int, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_close)(int);
static int (*real_unlinkat)(int, const char *, int);
static int (*real_renameat)(int, const char *, int, const char *);

static const char *folder; /* real and absolute, as the image is */
static const char *image;
static struct file *files;
static struct file *opened[DESCRIPTORS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "powerloss: %s %s: %s\n", what, name, strerror(errno));
    abort();
}

static void *next_in_line(const char *symbol)
{
    void *found = dlsym(RTLD_NEXT, symbol);
    if (found == NULL)
        fail("no function", symbol);
    return found;
}

static void begin(void)
{
    real_openat = next_in_line("openat");
    real_write = next_in_line("write");
    real_pwrite = next_in_line("pwrite");
    real_ftruncate = next_in_line("ftruncate");
    real_fsync = next_in_line("fsync");
    real_fdatasync = next_in_line("fdatasync");
    real_close = next_in_line("close");
    real_unlinkat = next_in_line("unlinkat");
    real_renameat = next_in_line("renameat");
    folder = getenv("POWERLOSS_FOLDER");
    image = getenv("POWERLOSS_IMAGE");
    if (folder == NULL || image == NULL)
        fail("POWERLOSS_FOLDER and POWERLOSS_IMAGE", "are not both set");
}

static void ready(void)
{
    pthread_once(&once, begin);
}

/* Return the part of an absolute path below the folder; NULL for one that is not watched. */
static const char *below_folder(const char *path)
{
    size_t length = strlen(folder), ending = strlen("-shm");
    if (strncmp(path, folder, length) != 0 || path[length] != '/')
        return NULL;
    if (strlen(path) > ending && strcmp(path + strlen(path) - ending, "-shm") == 0)
        return NULL;
    return path + length + 1;
}

/* Write the absolute path of something that exists to `path`; 0 if there is no such thing. */
static int resolve(int at, const char *given, char path[PATH_MAX])
{
    char joined[2 * PATH_MAX];
    if (given[0] == '/' || at == AT_FDCWD)
        snprintf(joined, sizeof joined, "%s", given);
    else
        snprintf(joined, sizeof joined, "/proc/self/fd/%d/%s", at, given);
    return realpath(joined, path) != NULL;
}

static void image_path(const char *name, char path[2 * PATH_MAX])
{
    snprintf(path, 2 * PATH_MAX, "%s/%s", image, name);
}

static struct file *find(dev_t device, ino_t inode)
{
    for (struct file *file = files; file != NULL; file = file->next)
        if (file->exists && file->device == device && file->inode == inode)
            return file;
    return NULL;
}

static struct file *add(const struct stat *status, const char *name)
{
    struct file *file = calloc(1, sizeof *file);
    if (file == NULL)
        fail("no memory for", name);
    file->device = status->st_dev;
    file->inode = status->st_ino;
    file->exists = 1;
    file->shortest = -1;
    snprintf(file->name, sizeof file->name, "%s", name);
    file->next = files;
    files = file;
    return file;
}

static struct file *file_of(int descriptor)
{
    return descriptor >= 0 && descriptor < DESCRIPTORS ? opened[descriptor] : NULL;
}

static void note_cut(struct file *file, off_t length)
{
    if (file->shortest < 0 || length < file->shortest)
        file->shortest = length;
}

static void note_written(struct file *file, off_t start, off_t end)
{
    if (file->count > 0 && file->dirty[file->count - 1].end == start) {
        file->dirty[file->count - 1].end = end;
        return;
    }
    if (file->count == file->room) {
        file->room = file->room ? 2 * file->room : 64;
        file->dirty = realloc(file->dirty, file->room * sizeof *file->dirty);
        if (file->dirty == NULL)
            fail("no memory for", file->name);
    }
    file->dirty[file->count++] = (struct range){start, end};
}

static void note_opened(int descriptor, int flags)
{
    char link[64], path[PATH_MAX];
    struct stat status;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return;
    path[length] = '\0';
    const char *name = below_folder(path);
    if (name == NULL || fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))
        return;
    if (descriptor >= DESCRIPTORS)
        fail("too many descriptors for", name);
    pthread_mutex_lock(&mutex);
    struct file *file = find(status.st_dev, status.st_ino);
    if (file == NULL)
        file = add(&status, name);
    if (flags & O_TRUNC)
        note_cut(file, 0);
    opened[descriptor] = file;
    pthread_mutex_unlock(&mutex);
}

static int open_image(const char *name)
{
    char path[2 * PATH_MAX];
    image_path(name, path);
    for (char *slash = strchr(path + strlen(image) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            fail("cannot make", path);
        *slash = '/';
    }
    int descriptor = real_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0)
        fail("cannot open", path);
    return descriptor;
}

static void copy(int from, int to, struct range range, const char *name)
{
    static char buffer[1 << 16]; /* under the mutex */
    while (range.start < range.end) {
        off_t left = range.end - range.start;
        size_t size = left < (off_t)sizeof buffer ? (size_t)left : sizeof buffer;
        ssize_t got = pread(from, buffer, size, range.start);
        if (got < 0)
            fail("cannot read", name);
        if (got == 0)
            return; /* it was cut since it was written */
        if (real_pwrite(to, buffer, (size_t)got, range.start) != got)
            fail("cannot write the image of", name);
        range.start += got;
    }
}

/* Bring the image of a file to what the file holds now. */
static void put_on_disk(int descriptor, struct file *file)
{
    struct stat now, before;
    if (!file->exists)
        return;
    int to = open_image(file->name);
    if (fstat(descriptor, &now) != 0 || fstat(to, &before) != 0)
        fail("cannot look at", file->name);
    if (file->shortest >= 0 && file->shortest < before.st_size && real_ftruncate(to, file->shortest) != 0)
        fail("cannot cut the image of", file->name);
    if (real_ftruncate(to, now.st_size) != 0)
        fail("cannot size the image of", file->name);
    for (size_t i = 0; i < file->count; i++)
        copy(descriptor, to, file->dirty[i], file->name);
    file->count = 0;
    file->shortest = -1;
    real_close(to);
}

/* A process that is killed between the two has part of the sync in the image, as a disk might. */
static int sync_with(int (*real)(int), int descriptor)
{
    struct file *file = file_of(descriptor);
    if (file != NULL) {
        pthread_mutex_lock(&mutex);
        put_on_disk(descriptor, file);
        pthread_mutex_unlock(&mutex);
    }
    return real(descriptor);
}

static int open_at(int at, const char *path, int flags, mode_t mode)
{
    ready();
    int descriptor = real_openat(at, path, flags, mode);
    int error = errno;
    if (descriptor >= 0)
        note_opened(descriptor, flags);
    errno = error;
    return descriptor;
}

static int remove_at(int at, const char *given, int flags)
{
    char path[PATH_MAX], in_image[2 * PATH_MAX];
    struct stat status;
    ready();
    const char *name = resolve(at, given, path) ? below_folder(path) : NULL;
    if (name == NULL || stat(path, &status) != 0)
        return real_unlinkat(at, given, flags);
    pthread_mutex_lock(&mutex);
    int result = real_unlinkat(at, given, flags);
    int error = errno;
    if (result == 0) {
        struct file *file = find(status.st_dev, status.st_ino);
        if (file != NULL)
            file->exists = 0;
        image_path(name, in_image);
        if (real_unlinkat(AT_FDCWD, in_image, flags) != 0 && errno != ENOENT)
            fail("cannot remove", in_image);
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return result;
}

static int rename_at(int at, const char *old, int to, const char *new)
{
    char before[PATH_MAX], after[PATH_MAX], from_image[2 * PATH_MAX], to_image[2 * PATH_MAX];
    struct stat status;
    ready();
    const char *name = resolve(at, old, before) ? below_folder(before) : NULL;
    pthread_mutex_lock(&mutex);
    int result = real_renameat(at, old, to, new);
    int error = errno;
    const char *renamed = result == 0 && resolve(to, new, after) ? below_folder(after) : NULL;
    if (name != NULL && renamed != NULL && stat(after, &status) == 0) {
        struct file *file = find(status.st_dev, status.st_ino);
        if (file != NULL)
            snprintf(file->name, sizeof file->name, "%s", renamed);
        image_path(name, from_image);
        image_path(renamed, to_image);
        if (real_renameat(AT_FDCWD, from_image, AT_FDCWD, to_image) != 0)
            real_unlinkat(AT_FDCWD, to_image, 0); /* it replaces a file, and was never synced itself */
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return result;
}

#define MODE(flags)                                 \
    mode_t mode = 0;                                \
    if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { \
        va_list more;                               \
        va_start(more, flags);                      \
        mode = va_arg(more, mode_t);                \
        va_end(more);                               \
    }

#define OPEN(name)                                  \
    int name(const char *path, int flags, ...)      \
    {                                               \
        MODE(flags)                                 \
        return open_at(AT_FDCWD, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                    \
    int name(int at, const char *path, int flags, ...)  \
    {                                                   \
        MODE(flags)                                     \
        return open_at(at, path, flags, mode);          \
    }
OPENAT(openat)
OPENAT(openat64)

#define CREAT(name)                                                            \
    int name(const char *path, mode_t mode)                                    \
    {                                                                          \
        return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);    \
    }
CREAT(creat)
CREAT(creat64)

ssize_t write(int descriptor, const void *bytes, size_t size)
{
    ready();
    struct file *file = file_of(descriptor);
    if (file == NULL)
        return real_write(descriptor, bytes, size);
    pthread_mutex_lock(&mutex);
    ssize_t done = real_write(descriptor, bytes, size);
    int error = errno;
    if (done > 0) {
        off_t end = lseek(descriptor, 0, SEEK_CUR);
        note_written(file, end - done, end);
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return done;
}

#define PWRITE(name)                                                            \
    ssize_t name(int descriptor, const void *bytes, size_t size, off_t offset)  \
    {                                                                           \
        ready();                                                                \
        struct file *file = file_of(descriptor);                                \
        if (file == NULL)                                                       \
            return real_pwrite(descriptor, bytes, size, offset);                \
        pthread_mutex_lock(&mutex);                                             \
        ssize_t done = real_pwrite(descriptor, bytes, size, offset);            \
        int error = errno;                                                      \
        if (done > 0)                                                           \
            note_written(file, offset, offset + done);                          \
        pthread_mutex_unlock(&mutex);                                           \
        errno = error;                                                          \
        return done;                                                            \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define FTRUNCATE(name)                                 \
    int name(int descriptor, off_t length)              \
    {                                                   \
        ready();                                        \
        struct file *file = file_of(descriptor);        \
        if (file == NULL)                               \
            return real_ftruncate(descriptor, length);  \
        pthread_mutex_lock(&mutex);                     \
        int result = real_ftruncate(descriptor, length); \
        int error = errno;                              \
        if (result == 0)                                \
            note_cut(file, length);                     \
        pthread_mutex_unlock(&mutex);                   \
        errno = error;                                  \
        return result;                                  \
    }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

int fsync(int descriptor)
{
    ready();
    return sync_with(real_fsync, descriptor);
}

int fdatasync(int descriptor)
{
    ready();
    return sync_with(real_fdatasync, descriptor);
}

int close(int descriptor)
{
    ready();
    if (file_of(descriptor) != NULL) {
        pthread_mutex_lock(&mutex);
        opened[descriptor] = NULL;
        pthread_mutex_unlock(&mutex);
    }
    return real_close(descriptor);
}

int unlink(const char *path)
{
    return remove_at(AT_FDCWD, path, 0);
}

int unlinkat(int at, const char *path, int flags)
{
    return remove_at(at, path, flags);
}

int rename(const char *old, const char *new)
{
    return rename_at(AT_FDCWD, old, AT_FDCWD, new);
}

int renameat(int at, const char *old, int to, const char *new)
{
    return rename_at(at, old, to, new);
}
