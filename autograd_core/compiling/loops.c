/* Runs a flat program of inner loops: those of NumPy's ufuncs, and a few of the same signature that NumPy keeps to itself.

   An instruction is a run of words: {loop, data, how many pointers, dims, steps and outer axes, pointers, dims, steps, outer shape, outer
   strides (axis by axis, one for each pointer)}. The loop is called once for each place of the outer axes. An instruction without a loop is
   a block: {0, times, words of the body, how many pointers advance, (word in the body, bytes) for each of them, body}.

   No Python API: one binary per platform serves all versions of Python and NumPy, and runs while the interpreter's lock is released. */

#include <fenv.h>
#include <stdint.h>
#include <string.h>

#ifdef _MSC_VER
#define EXPORT __declspec(dllexport)
#define THREAD_LOCAL __declspec(thread)
#pragma fenv_access(on)
#else
#define EXPORT __attribute__((visibility("default")))
#define THREAD_LOCAL __thread
#endif

#ifndef SOURCE_DIGEST
#error "compile with -DSOURCE_DIGEST=0x...: the first 8 digits of this file's SHA-256, see loops_build.py"
#endif

typedef intptr_t word;
typedef void loop(char **pointers, const word *dims, const word *steps, void *data);

enum { HEADER = 6, MOST_POINTERS = 32, MOST_OUTER = 64, OUT_OF_RANGE = 1 << 16 };

static THREAD_LOCAL int out_of_range; /* an index was, since `run` began: nothing was read or written there */

EXPORT const unsigned autograd_core_loops_digest = SOURCE_DIGEST;

/* --- the runner --------------------------------------------------------------------------------------------------------------------- */

static void call_at_all_places(loop *function, void *data, word count, const word *pointers, const word *dims, const word *steps, word axes,
                               const word *shape, const word *strides) {
  char *moving[MOST_POINTERS], *given[MOST_POINTERS];
  word place[MOST_OUTER] = {0};
  memcpy(moving, pointers, count * sizeof(char *));
  for (;;) {
    memcpy(given, moving, count * sizeof(char *)); /* some loops move the pointers that they are given */
    function(given, dims, steps, data);
    word axis = axes - 1;
    for (; axis >= 0; axis--) {
      const word *step = strides + axis * count;
      if (++place[axis] < shape[axis]) {
        for (word i = 0; i < count; i++) moving[i] += step[i];
        break;
      }
      for (word i = 0; i < count; i++) moving[i] -= step[i] * (shape[axis] - 1);
      place[axis] = 0;
    }
    if (axis < 0) return;
  }
}

static void run_words(word *at, const word *end) {
  char *given[MOST_POINTERS];
  while (at < end) {
    if (!at[0]) {
      word times = at[1], length = at[2], advancing = at[3], *advance = at + 4, *body = advance + 2 * advancing;
      for (word turn = 0; turn < times; turn++) {
        run_words(body, body + length);
        for (word i = 0; i < advancing; i++) body[advance[2 * i]] += advance[2 * i + 1];
      }
      for (word i = 0; i < advancing; i++) body[advance[2 * i]] -= times * advance[2 * i + 1];
      at = body + length;
      continue;
    }
    loop *function = (loop *)at[0];
    void *data = (void *)at[1];
    word count = at[2], axes = at[5];
    const word *pointers = at + HEADER, *dims = pointers + count, *steps = dims + at[3], *shape = steps + at[4], *strides = shape + axes;
    if (axes) {
      call_at_all_places(function, data, count, pointers, dims, steps, axes, shape, strides);
    } else {
      for (word i = 0; i < count; i++) given[i] = (char *)pointers[i];
      function(given, dims, steps, data);
    }
    at = (word *)strides + axes * count;
  }
}

/* The floating-point exceptions that the program raised (1 divide, 2 overflow, 4 underflow, 8 invalid, as NumPy has them), and OUT_OF_RANGE. */
EXPORT int autograd_core_run(word *begin, const word *end) {
  out_of_range = 0;
  feclearexcept(FE_ALL_EXCEPT);
  run_words(begin, end);
  int raised = fetestexcept(FE_ALL_EXCEPT);
  feclearexcept(FE_ALL_EXCEPT);
  return (raised & FE_DIVBYZERO ? 1 : 0) | (raised & FE_OVERFLOW ? 2 : 0) | (raised & FE_UNDERFLOW ? 4 : 0) | (raised & FE_INVALID ? 8 : 0)
         | (out_of_range ? OUT_OF_RANGE : 0);
}

/* An input lies elsewhere now: every word that points into it moves along. */
EXPORT void autograd_core_move(word *program, const word *places, word count, word bytes) {
  for (word i = 0; i < count; i++) program[places[i]] += bytes;
}

/* --- loops that NumPy has no ufunc for ---------------------------------------------------------------------------------------------- */

#define COPY_AND_WHERE(BYTES)                                                                                                                  \
  EXPORT void copy_##BYTES(char **p, const word *n, const word *s, void *data) {                                                              \
    char *from = p[0], *to = p[1];                                                                                                            \
    (void)data;                                                                                                                               \
    if (s[0] == BYTES && s[1] == BYTES) {                                                                                                     \
      memmove(to, from, (size_t)n[0] * BYTES);                                                                                                \
      return;                                                                                                                                 \
    }                                                                                                                                         \
    for (word i = 0; i < n[0]; i++, from += s[0], to += s[1]) memcpy(to, from, BYTES);                                                        \
  }                                                                                                                                           \
  EXPORT void where_##BYTES(char **p, const word *n, const word *s, void *data) {                                                             \
    char *which = p[0], *yes = p[1], *no = p[2], *to = p[3];                                                                                  \
    (void)data;                                                                                                                               \
    for (word i = 0; i < n[0]; i++, which += s[0], yes += s[1], no += s[2], to += s[3]) memcpy(to, *which ? yes : no, BYTES);                 \
  }

COPY_AND_WHERE(1)
COPY_AND_WHERE(2)
COPY_AND_WHERE(4)
COPY_AND_WHERE(8)
COPY_AND_WHERE(16)

/* Indexed loops: pointers {array, index (int64), values}; the array's place is its pointer plus its step times i plus index times its
   stride. A step of 0 takes rows, z[index]; a step of one row picks one of each row, z[i, index[i]]. */
typedef struct {
  word length, stride, bytes;
} indexed;

static char *place(char *array, const char *index, const indexed *axis) {
  int64_t at;
  memcpy(&at, index, sizeof at);
  if (at < 0) at += axis->length;
  if (at < 0 || at >= axis->length) {
    out_of_range = 1;
    return 0;
  }
  return array + at * axis->stride;
}

#define INDEXED(NAME, STATEMENT)                                                                                                               \
  EXPORT void NAME(char **p, const word *n, const word *s, void *data) {                                                                      \
    const indexed *axis = data;                                                                                                               \
    char *array = p[0], *index = p[1], *value = p[2];                                                                                         \
    for (word i = 0; i < n[0]; i++, array += s[0], index += s[1], value += s[2]) {                                                            \
      char *at = place(array, index, axis);                                                                                                   \
      if (at) STATEMENT;                                                                                                                      \
    }                                                                                                                                         \
  }

INDEXED(take, memcpy(value, at, axis->bytes))
INDEXED(put, memcpy(at, value, axis->bytes))
INDEXED(add_at_f, for (word j = 0; j < axis->bytes / 4; j++)((float *)at)[j] += ((float *)value)[j])
INDEXED(add_at_d, for (word j = 0; j < axis->bytes / 8; j++)((double *)at)[j] += ((double *)value)[j])

/* Casts, named by NumPy's kinds and sizes. What rounds or wraps is left to NumPy, but for float64 to float32. */
#define CAST(FROM, FROM_TYPE, TO, TO_TYPE, VALUE)                                                                                              \
  EXPORT void cast_##FROM##_##TO(char **p, const word *n, const word *s, void *data) {                                                        \
    char *from = p[0], *to = p[1];                                                                                                            \
    (void)data;                                                                                                                               \
    for (word i = 0; i < n[0]; i++, from += s[0], to += s[1]) {                                                                               \
      FROM_TYPE x = *(FROM_TYPE *)from;                                                                                                       \
      *(TO_TYPE *)to = VALUE;                                                                                                                 \
    }                                                                                                                                         \
  }

typedef struct {
  float real, imag;
} complex64;
typedef struct {
  double real, imag;
} complex128;

#define CAST_TO_FLOATS(FROM, TYPE)                                                                                                             \
  CAST(FROM, TYPE, f8, double, (double)x)                                                                                                     \
  CAST(FROM, TYPE, c16, complex128, ((complex128){(double)x, 0}))                                                                             \
  CAST(FROM, TYPE, b1, uint8_t, x != 0)
#define CAST_INTEGER(FROM, TYPE)                                                                                                               \
  CAST_TO_FLOATS(FROM, TYPE)                                                                                                                  \
  CAST(FROM, TYPE, f4, float, (float)x)                                                                                                       \
  CAST(FROM, TYPE, i8, int64_t, (int64_t)x)                                                                                                   \
  CAST(FROM, TYPE, c8, complex64, ((complex64){(float)x, 0}))

CAST_INTEGER(i1, int8_t)
CAST_INTEGER(i2, int16_t)
CAST_INTEGER(i4, int32_t)
CAST_INTEGER(u1, uint8_t)
CAST_INTEGER(u2, uint16_t)
CAST_INTEGER(u4, uint32_t)
CAST_TO_FLOATS(i8, int64_t)
CAST_TO_FLOATS(u8, uint64_t)
CAST_TO_FLOATS(f4, float)
CAST(i8, int64_t, f4, float, (float)x)
CAST(u8, uint64_t, f4, float, (float)x)
CAST(f4, float, c8, complex64, ((complex64){x, 0}))
CAST(f8, double, c8, complex64, ((complex64){(float)x, 0}))
CAST(f8, double, c16, complex128, ((complex128){x, 0}))
CAST(f8, double, f4, float, (float)x)
CAST(f8, double, b1, uint8_t, x != 0)
CAST(c8, complex64, c16, complex128, ((complex128){x.real, x.imag}))
CAST(c16, complex128, c8, complex64, ((complex64){(float)x.real, (float)x.imag}))
/* A bool is a byte that is 0 or 1. */
CAST(b1, uint8_t, f4, float, (float)(x != 0))
CAST(b1, uint8_t, f8, double, (double)(x != 0))
CAST(b1, uint8_t, i8, int64_t, x != 0)
CAST(b1, uint8_t, c16, complex128, ((complex128){x != 0, 0}))
