// Histograms of |x| on the GPU, the same counts as trtcal_widgets/core/histogram.py makes on the CPU.
//
// The work of one call is cut into segments: consecutive elements of one tensor. A block owns a run of segments and
// counts each of them in shared memory, from the tensor's range on; when it meets a larger |x|, it doubles its own
// range and counts in another table from then on, without a word to the other blocks and without waiting for its own
// warps; at the end it folds its tables into one. It leaves the segment as a row of counts with
// the number of doublings it needed; when the same segments are counted again, it goes on where it left off. Before
// the host asks for counts, `finish` folds all rows of a tensor to the largest number of doublings and adds them up.
// So every element is read once, growth costs nothing while it does not happen, and no result depends on the order in
// which blocks run: counts are exact, and sums are the same bits every time.
//
// Folding is exact because the bin of x over the doubled range is its old bin halved: the factor 2048 / R is halved
// without rounding. Slot 2048 holds the values at the upper edge of the range (int(|x| * factor) == 2048); halved like
// every other slot it becomes bin 1024, where the doubled range has them.
//
// No header is included, so that NVRTC needs no CUDA toolkit on the machine.

typedef unsigned int u32;
typedef unsigned long long u64;

#ifndef THREADS
#define THREADS 1024  // per block of `count`
#endif
#ifndef BLOCKS_PER_SM
#define BLOCKS_PER_SM 1
#endif
#ifndef VECTORS
#define VECTORS 2  // 16-byte vectors that a thread counts at a time
#endif
#ifndef DEPTH
#define DEPTH 2  // how many times that are on their way to it
#endif
#ifndef PREFETCH_KIB
#define PREFETCH_KIB 128  // of a segment, to ask for before the block may read it
#endif

constexpr int BINS = 2048;
constexpr int SLOTS = BINS + 1;   // and the edge
constexpr int OTHER = SLOTS;       // slot of NaN and infinities
constexpr int ROW = 2052;         // a row of counters, whole 16-byte vectors
constexpr u32 OTHER_THREAD = OTHER / 4 % THREADS;  // stores that counter
constexpr int FINISH_THREADS = 512;
constexpr int ROWS_AT_ONCE = 16;  // rows that one block of `finish` adds up
constexpr u32 ALL = 0xffffffffu;

enum Kind { FLOAT32 = 0, FLOAT16 = 1, BFLOAT16 = 2 };

// The layouts are repeated as numpy dtypes in plan.py.
// n elements from ptr on; first..last are the segments of the same tensor.
struct Segment { u64 ptr, n; int slot, kind, first, last; };
// Rows from..to of a tensor whose rows are first..last, and some of their columns; the tensor has `items` of these.
struct Item { int slot, first, last, from, to, column, columns, items; };
// What was found in a segment besides the counts.
struct Part { double sum, squares; u32 zeros, pos_infs, neg_infs; float lo, hi; int k; };
// What is known of a tensor besides the counts.
struct State {
    double sum, squares;
    u64 zeros, nans, pos_infs, neg_infs;
    float lo, hi, base;
    int k;        // doublings
    int current;  // which of the two tables holds the counts
    u32 done;     // blocks of `finish` that are through
    int filled;   // whether the current table has counts
    int unused;
};

__device__ __forceinline__ float float_max() { return __int_as_float(0x7f7fffff); }
__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }

// No range is shorter than SMALLEST_RANGE, so that the factor is finite; denormals are zeros.
__device__ __forceinline__ float start_of(float largest) {
    return __float_as_uint(largest) < 0x00800000u ? 0.0f : fmaxf(largest, __uint_as_float((127u - 116u) << 23));
}

__device__ __forceinline__ float nan() { return __int_as_float(0x7fc00000); }

// All bits where x is finite, no bits where it is not.
__device__ __forceinline__ u32 finite_mask(float x) {
    u32 mask;
    asm("set.lt.u32.f32 %0, %1, 0f7f800000;" : "=r"(mask) : "f"(fabsf(x)));
    return mask;
}

// 1 if x is zero: one instruction, and no predicate.
__device__ __forceinline__ float is_zero(float x) {
    float one;
    asm("set.eq.f32.f32 %0, %1, 0f00000000;" : "=f"(one) : "f"(x));
    return one;
}

// The smaller one; strict: NaN if one of them is NaN, otherwise NaN is passed over.
template <bool STRICT> __device__ __forceinline__ float least_of(float a, float b) {
    if (!STRICT) return fminf(a, b);
#if __CUDA_ARCH__ >= 800
    asm("min.NaN.f32 %0, %0, %1;" : "+f"(a) : "f"(b));
    return a;
#else
    return a != a || b != b ? nan() : fminf(a, b);
#endif
}
template <bool STRICT> __device__ __forceinline__ float largest_of(float a, float b) {
    if (!STRICT) return fmaxf(a, b);
#if __CUDA_ARCH__ >= 800
    asm("max.NaN.f32 %0, %0, %1;" : "+f"(a) : "f"(b));
    return a;
#else
    return a != a || b != b ? nan() : fmaxf(a, b);
#endif
}

// What the kernels know of an element type. A word is 4 bytes, which hold one or two values.
template <int KIND> struct Format;
// What min and max of two words of 16-bit values do, where there are no instructions for it.
template <int KIND> __device__ __forceinline__ u32 by_halves(u32 a, u32 b, float (*choose)(float, float)) {
    float x[2], y[2];
    Format<KIND>::unpack(a, x);
    Format<KIND>::unpack(b, y);
    return (Format<KIND>::pack(choose(x[0], y[0])) & 0xffffu) | (Format<KIND>::pack(choose(x[1], y[1])) & 0xffff0000u);
}
template <> struct Format<FLOAT32> {
    static constexpr int per_word = 1;
    static constexpr u32 nan_word = 0x7fc00000u;
    __device__ static void unpack(u32 w, float* x) { x[0] = __uint_as_float(w); }
    __device__ static u32 lone(u64 address) { return *(const u32*)address; }
    // Put zeros in the place of NaN and infinities; returns how many, to be added up and read by `number`.
    __device__ static u32 remove(u32& w) {
        const u32 mask = finite_mask(__uint_as_float(w));
        w &= mask;
        return 1 + mask;
    }
    __device__ static u32 number(u32 removed) { return removed; }
    template <bool STRICT> __device__ static u32 least(u32 a, u32 b) {
        return __float_as_uint(least_of<STRICT>(__uint_as_float(a), __uint_as_float(b)));
    }
    template <bool STRICT> __device__ static u32 largest(u32 a, u32 b) {
        return __float_as_uint(largest_of<STRICT>(__uint_as_float(a), __uint_as_float(b)));
    }
    // Add to a count of zeros, which starts as 0 and `zeros` reads; it is exact for as many as a thread has.
    __device__ static u32 add_zeros(u32 w, u32 so_far) {
        return __float_as_uint(__uint_as_float(so_far) + is_zero(__uint_as_float(w)));
    }
    __device__ static u32 zeros(u32 count) { return (u32)__uint_as_float(count); }
    __device__ static u32 pack(float x) { return __float_as_uint(x); }
    __device__ static u32 limit(float R) { return __float_as_uint(R); }
    // Whether no value is beyond the limit; not so if one is NaN.
    __device__ static bool within(u32 least, u32 largest, u32 limit) {
        return __uint_as_float(largest) <= __uint_as_float(limit) && __uint_as_float(least) >= -__uint_as_float(limit);
    }
};
template <> struct Format<FLOAT16> {
    static constexpr int per_word = 2;
    static constexpr u32 nan_word = 0x7e007e00u;
    __device__ static void unpack(u32 w, float* x) {
        asm("{.reg .b16 a, b; mov.b32 {a, b}, %2; cvt.f32.f16 %0, a; cvt.f32.f16 %1, b;}"
            : "=f"(x[0]), "=f"(x[1]) : "r"(w));
    }
    __device__ static u32 lone(u64 address) { return *(const unsigned short*)address | (nan_word & 0xffff0000u); }
    __device__ static u32 remove(u32& w) { return remove_halves(w, 0x8000u - 0x7c00u); }
    __device__ static u32 number(u32 removed) { return (removed & 0xffffu) + (removed >> 16); }
    // The exponent is all ones where adding `to_carry` to it carries into the sign bit.
    __device__ static u32 remove_halves(u32& w, u32 to_carry) {
        const u32 bits = (((w & 0x7fff7fffu) + to_carry * 0x10001u) >> 15) & 0x10001u;
        w &= ~(bits * 0xffffu);
        return bits;
    }
    template <bool STRICT> __device__ static u32 least(u32 a, u32 b) {
#if __CUDA_ARCH__ < 800
        return by_halves<FLOAT16>(a, b, least_of<STRICT>);
#else
        if (STRICT) asm("min.NaN.f16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        else asm("min.f16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        return a;
#endif
    }
    template <bool STRICT> __device__ static u32 largest(u32 a, u32 b) {
#if __CUDA_ARCH__ < 800
        return by_halves<FLOAT16>(a, b, largest_of<STRICT>);
#else
        if (STRICT) asm("max.NaN.f16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        else asm("max.f16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        return a;
#endif
    }
    __device__ static u32 add_zeros(u32 w, u32 so_far) {  // both halves at once; a zero is -1
        asm("{.reg .b32 ones; set.eq.u32.f16x2 ones, %1, %2; dp2a.lo.s32.s32 %0, ones, %3, %0;}"
            : "+r"(so_far) : "r"(w), "r"(0), "r"(0x0101));
        return so_far;
    }
    __device__ static u32 zeros(u32 count) { return 0 - count; }
    __device__ static u32 pack(float x) {
        u32 w;
        asm("{.reg .b16 a; cvt.rn.f16.f32 a, %1; mov.b32 %0, {a, a};}" : "=r"(w) : "f"(x));
        return w;
    }
    // The largest that is not beyond R.
    __device__ static u32 limit(float R) {
        u32 w;
        asm("{.reg .b16 a; cvt.rz.f16.f32 a, %1; mov.b32 %0, {a, a};}" : "=r"(w) : "f"(R));
        return w;
    }
    __device__ static bool within(u32 least, u32 largest, u32 limit) {
        u32 yes;
        asm("{.reg .pred a, b, c, d; setp.le.f16x2 a|b, %1, %3; setp.ge.f16x2 c|d, %2, %4; and.pred a, a, b;"
            " and.pred c, c, d; and.pred a, a, c; selp.u32 %0, 1, 0, a;}"
            : "=r"(yes) : "r"(largest), "r"(least), "r"(limit), "r"(limit ^ 0x80008000u));
        return yes != 0;
    }
};
template <> struct Format<BFLOAT16> {
    static constexpr int per_word = 2;
    static constexpr u32 nan_word = 0x7fc07fc0u;
    __device__ static void unpack(u32 w, float* x) {
        x[0] = __uint_as_float(w << 16);
        x[1] = __uint_as_float(w & 0xffff0000u);
    }
    __device__ static u32 lone(u64 address) { return *(const unsigned short*)address | (nan_word & 0xffff0000u); }
    __device__ static u32 remove(u32& w) { return Format<FLOAT16>::remove_halves(w, 0x8000u - 0x7f80u); }
    __device__ static u32 number(u32 removed) { return Format<FLOAT16>::number(removed); }
    template <bool STRICT> __device__ static u32 least(u32 a, u32 b) {
#if __CUDA_ARCH__ < 800
        return by_halves<BFLOAT16>(a, b, least_of<STRICT>);
#else
        if (STRICT) asm("min.NaN.bf16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        else asm("min.bf16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        return a;
#endif
    }
    template <bool STRICT> __device__ static u32 largest(u32 a, u32 b) {
#if __CUDA_ARCH__ < 800
        return by_halves<BFLOAT16>(a, b, largest_of<STRICT>);
#else
        if (STRICT) asm("max.NaN.bf16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        else asm("max.bf16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        return a;
#endif
    }
    __device__ static u32 add_zeros(u32 w, u32 so_far) {
        float x[2];
        unpack(w, x);
        return __float_as_uint(__uint_as_float(so_far) + is_zero(x[0]) + is_zero(x[1]));
    }
    __device__ static u32 zeros(u32 count) { return (u32)__uint_as_float(count); }
    __device__ static u32 pack(float x) { return (__float_as_uint(x) >> 16) * 0x10001u; }
    __device__ static u32 limit(float R) { return __float_as_uint(R); }
    __device__ static bool within(u32 least, u32 largest, u32 limit) {
        float lo[2], hi[2];
        unpack(least, lo);
        unpack(largest, hi);
        return Format<FLOAT32>::within(__float_as_uint(least_of<true>(lo[0], lo[1])),
                                       __float_as_uint(largest_of<true>(hi[0], hi[1])), limit);
    }
};

// Least and largest of N words, for each value of a word. Strict: NaN if one of them is NaN.
template <int KIND, bool STRICT, int N>
__device__ __forceinline__ void extremes(const u32 (&words)[N], u32& least, u32& largest) {
    least = largest = words[0];
#pragma unroll
    for (int w = 1; w < N; ++w) {
        least = Format<KIND>::template least<STRICT>(least, words[w]);
        largest = Format<KIND>::template largest<STRICT>(largest, words[w]);
    }
}

// The same of the values of a word. NaN is passed over.
template <int KIND> __device__ __forceinline__ void unpack_extremes(u32 least, u32 largest, float& lo, float& hi) {
    constexpr int P = Format<KIND>::per_word;
    float x[P];
    Format<KIND>::unpack(least, x);
    lo = fminf(x[0], x[P - 1]);
    Format<KIND>::unpack(largest, x);
    hi = fmaxf(x[0], x[P - 1]);
}

// Ask for bytes that will be read soon: one thread. The address and the size are multiples of 16.
__device__ __forceinline__ void prefetch(u64 address, u32 bytes) {
#if __CUDA_ARCH__ >= 900
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" :: "l"(address), "r"(bytes));
#endif
}

// A segment as 16-byte vectors: the aligned ones, then each element before and after them as a vector of its own,
// padded with NaN. The padding is taken off the tally of NaN again.
template <int KIND> struct Span {
    static constexpr int per_vector = 4 * Format<KIND>::per_word, size = 16 / per_vector;
    u64 body;
    u32 vectors, head_n, total;

    __device__ explicit Span(const Segment& s) {
        const u64 before = ((0 - s.ptr) & 15) / size;
        head_n = (u32)(before < s.n ? before : s.n);
        body = s.ptr + (u64)head_n * size;
        vectors = (u32)((s.n - head_n) / per_vector);
        total = vectors + head_n + (u32)(s.n - head_n - (u64)vectors * per_vector);
    }
    __device__ static void whole(u64 address, u32* words) {
        // Not .nc: the kernel that writes this may end after this one has started.
        asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
            : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3]) : "l"(address));
    }
    __device__ void load(u32 i, u32* words) const {
        if (i < vectors) return whole(body + 16ull * i, words);
        words[0] = words[1] = words[2] = words[3] = Format<KIND>::nan_word;
        if (i >= total) return;
        const u32 j = i - vectors;
        const u64 lone = body + (u64)j * size - (u64)head_n * size;  // of those before the aligned ones
        words[0] = Format<KIND>::lone(j < head_n ? lone : lone + 16ull * vectors);
    }
    // Start to copy the 32 * U vectors from `first` on, for a warp, into shared memory; each lane its own.
    template <u32 U> __device__ __forceinline__ void start(u32 first, u32 place) const {
#if __CUDA_ARCH__ >= 800
        if (first + 32 * U <= vectors) {
            const u64 from = body + 16ull * (first + (threadIdx.x & 31));
#pragma unroll
            for (u32 u = 0; u < U; ++u)
                asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                    :: "r"(place + u * THREADS * 16), "l"(from + 16 * 32 * u) : "memory");
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
#endif
    }
    // Wait for the oldest of D of these copies and read it.
    template <u32 U, u32 D> __device__ __forceinline__ void take(u32 first, u32 place, u32 (&words)[4 * U]) const {
#if __CUDA_ARCH__ < 800
        load_warp<U>(first, words);
#else
        if (first + 32 * U > vectors) return load_warp<U>(first, words);
        asm volatile("cp.async.wait_group %0;" :: "n"(D - 1) : "memory");
#pragma unroll
        for (u32 u = 0; u < U; ++u)
            asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                : "=r"(words[4 * u]), "=r"(words[4 * u + 1]), "=r"(words[4 * u + 2]), "=r"(words[4 * u + 3])
                : "r"(place + u * THREADS * 16));
#endif
    }
    // The 32 * U vectors from `first` on, for a warp.
    template <u32 U> __device__ __forceinline__ void load_warp(u32 first, u32 (&words)[4 * U]) const {
        const u32 mine = first + (threadIdx.x & 31);
        if (first + 32 * U <= vectors) {
#pragma unroll
            for (u32 u = 0; u < U; ++u) whole(body + 16ull * mine + 16 * 32 * u, words + 4 * u);
        } else {
#pragma unroll
            for (u32 u = 0; u < U; ++u) load(mine + 32 * u, words + 4 * u);
        }
    }
};

// What a thread has seen of a segment.
struct Tally {
    double sum, squares;
    float lo, hi;
    u32 zeros;
};

// The range of a block: R = base * 2^k, or the largest float, where every finite value fits.
struct Range {
    float R, factor;
    u32 version;  // of which this is the range, and the doublings
    u32 slots;    // address of the table's counters, minus 4 * BIAS
    u32 limit;    // R as Format has it

    __device__ __forceinline__ void double_up() {
        R = fminf(R * 2.0f, float_max());
        factor *= 0.5f;
    }
};

// What a thread has seen so far of a segment, in the form that costs least to keep up.
struct Found {
    double sum, squares;
    u32 least, largest;  // words of values
    u32 zeros;           // as Format has it, with the NaN and infinities that were taken out
};

// The range that is counted in now, in one word: the doublings, and the table whose counters have that range.
constexpr u32 TABLES = 4, STOP = 1u << 31;  // STOP: there is no table left
__device__ __forceinline__ u32 version_of(int k, u32 table) { return (u32)k * TABLES + table; }

struct alignas(16) Shared {
    u32 tables[TABLES][ROW];
    int k[TABLES];  // doublings of the tables that were counted in
    u32 version;
    u32 needed;  // bits of the largest |x| that did not fit
    Segment next;
    u32 others;  // of the counter of NaN and infinities: what it was before the segment
    u32 pos_infs, neg_infs;
    Tally tallies[THREADS / 32];
};

// The slot of x, as bits: a float32 product, and then truncation, because adding 2^23 towards zero leaves the integer
// in the low bits of the sum. `bits - BIAS` is int(|x| * factor).
constexpr u32 BIAS = 0x4b000000u;
__device__ __forceinline__ u32 slot_bits(float x, float factor) {
    return __float_as_uint(__fadd_rz(__fmul_rn(fabsf(x), factor), 8388608.0f));
}

// Count one value. The address is made in one multiply-add, and the hardware adds lanes with the same address at once.
__device__ __forceinline__ void bump(u32 bits, u32 biased_slots) {
    asm volatile("red.shared.add.u32 [%0], 1;" :: "r"(bits * 4u + biased_slots) : "memory");
}

// Keep the compiler from holding on to the floats that it made of these words.
template <int N> __device__ __forceinline__ void forget(u32 (&words)[N]) {
#pragma unroll
    for (int w = 0; w < N; ++w) asm volatile("" : "+r"(words[w]));
}

// Extremes of the finite values of a tile of one thread; NaN if there are none.
template <int KIND, int N>
__device__ __forceinline__ void finite_extremes(const u32 (&words)[N], float& lo, float& hi) {
    constexpr int P = Format<KIND>::per_word;
    lo = hi = nan();
#pragma unroll
    for (int w = 0; w < N; ++w) {
        float x[P];
        Format<KIND>::unpack(words[w], x);
#pragma unroll
        for (int p = 0; p < P; ++p) {
            const float finite = __uint_as_float(__float_as_uint(x[p]) | ~finite_mask(x[p]));  // or NaN
            lo = fminf(lo, finite);
            hi = fmaxf(hi, finite);
        }
    }
}

// The infinities of a tile of one thread.
template <int KIND, int N>
__device__ __forceinline__ void count_infinities(const u32 (&words)[N], Shared& shared) {
    constexpr int P = Format<KIND>::per_word;
    u32 pos_infs = 0, neg_infs = 0;
#pragma unroll
    for (int w = 0; w < N; ++w) {
        float x[P];
        Format<KIND>::unpack(words[w], x);
#pragma unroll
        for (int p = 0; p < P; ++p) {
            pos_infs += x[p] == infinity();
            neg_infs += x[p] == -infinity();
        }
    }
    if (pos_infs) atomicAdd(&shared.pos_infs, pos_infs);
    if (neg_infs) atomicAdd(&shared.neg_infs, neg_infs);
}

struct Add { template <typename T> __device__ T operator()(T a, T b) const { return a + b; } };
struct Least { __device__ float operator()(float a, float b) const { return fminf(a, b); } };
struct Most { __device__ float operator()(float a, float b) const { return fmaxf(a, b); } };

template <typename T, typename F>
__device__ __forceinline__ T across_warp(T value, F combine) {
    for (int step = 16; step; step >>= 1) value = combine(value, __shfl_down_sync(ALL, value, step));
    return value;
}

__device__ __forceinline__ Tally across_warp(Tally t) {
    t.sum = across_warp(t.sum, Add());
    t.squares = across_warp(t.squares, Add());
    t.zeros = across_warp(t.zeros, Add());
    t.lo = across_warp(t.lo, Least());
    t.hi = across_warp(t.hi, Most());
    return t;
}

__device__ __forceinline__ Tally nothing() {
    Tally t = {};
    t.lo = infinity();
    t.hi = -infinity();
    return t;
}

// Go over to the block's present range, if it is another.
template <int KIND> __device__ __forceinline__ void follow(u32 version, Shared& shared, Range& range) {
    range.slots += (version % TABLES - range.version % TABLES) * (ROW * 4);
    for (u32 k = range.version / TABLES; k < version / TABLES; ++k) range.double_up();
    range.version = version;
    range.limit = Format<KIND>::limit(range.R);
}

// Double the block's range until it has room for a warp's |x| <= most: count in another table from now on. The other
// warps follow when they come to their next words. False: all tables are in use, or a larger range is needed.
template <int KIND> __device__ __forceinline__ bool make_room(float most, Shared& shared, Range& range) {
    for (;;) {
        const u32 version = __shfl_sync(ALL, *(volatile u32*)&shared.version, 0);
        if (version & STOP) {
            if (most > range.R) atomicMax(&shared.needed, __float_as_uint(most));
            return false;
        }
        follow<KIND>(version, shared, range);
        if (!__any_sync(ALL, most > range.R)) return true;
        most = across_warp(most, Most());  // of lane 0; the others' maxima may grow by this, but not beyond it
        if ((threadIdx.x & 31) == 0) {
            const u32 table = version % TABLES + 1;
            int k = version / TABLES;
            for (float R = range.R; most > R; R = fminf(R * 2.0f, float_max())) ++k;
            if (table == TABLES) {
                atomicMax(&shared.needed, __float_as_uint(most));
                atomicOr(&shared.version, STOP);
            } else if (atomicCAS(&shared.version, version, version_of(k, table)) == version) {
                shared.k[table] = k;
            }
        }
        __syncwarp();
    }
}

// Whether the range has room for these words of a warp, or gets it; if so, NaN and infinities are counted and taken
// out.
template <int KIND, int N>
__device__ __forceinline__ bool fits(u32 (&words)[N], Shared& shared, Range& range, Found& found) {
    const u32 version = *(volatile u32*)&shared.version;
    u32 least, largest;
    extremes<KIND, true>(words, least, largest);
    if (!__all_sync(ALL, Format<KIND>::within(least, largest, range.limit) && version == range.version)) {
        float lo, hi;
        extremes<KIND, false>(words, least, largest);
        unpack_extremes<KIND>(least, largest, lo, hi);
        const bool infinite = __any_sync(ALL, hi == infinity() || lo == -infinity());
        if (infinite) finite_extremes<KIND>(words, lo, hi);
        const float most = fmaxf(-lo, hi);
        if (__any_sync(ALL, most > range.R || version != range.version))
            if (!make_room<KIND>(most, shared, range)) return false;
        least = Format<KIND>::pack(lo);
        largest = Format<KIND>::pack(hi);
        if (infinite) count_infinities<KIND>(words, shared);
        forget(words);
        u32 removed = 0;
#pragma unroll
        for (int w = 0; w < N; ++w) removed += Format<KIND>::remove(words[w]);
        if (removed) {  // they will be counted as zeros
            removed = Format<KIND>::number(removed);
            atomicSub(&shared.tables[0][0], removed);
            atomicAdd(&shared.tables[0][OTHER], removed);
        }
    }
    found.least = Format<KIND>::template least<false>(found.least, least);
    found.largest = Format<KIND>::template largest<false>(found.largest, largest);
    return true;
}

// Count words that fit.
template <int KIND, int N>
__device__ __forceinline__ void tell(u32 (&words)[N], const Range& range, Found& found) {
    constexpr int P = Format<KIND>::per_word;
    forget(words);
#pragma unroll
    for (int w = 0; w < N; ++w) {
        float x[P];
        Format<KIND>::unpack(words[w], x);
        found.zeros = Format<KIND>::add_zeros(words[w], found.zeros);
#pragma unroll
        for (int p = 0; p < P; ++p) {
            bump(slot_bits(x[p], range.factor), range.slots);
            const double v = x[p];
            found.sum += v;
            found.squares = fma(v, v, found.squares);
        }
    }
}

// Fold a table of the block by at least one doubling and add it to another. All threads.
__device__ __forceinline__ void add_table(const u32* from, u32* to, int doublings) {
    static_assert(BINS / 2 % THREADS == 0, "each thread has as many pairs of slots");
    const int shift = min(doublings, 12) - 1;  // after 12 doublings, everything is in bin 0
    const int lanes = min(32, 1 << shift);
#pragma unroll
    for (int start = 0; start < BINS / 2; start += THREADS) {
        const int j = start + threadIdx.x;
        const uint2 pair = ((const uint2*)from)[j];
        u32 count = pair.x + pair.y;
        if (!__any_sync(ALL, count)) continue;
        // Lanes whose slots fold into one are added up first.
        for (int step = 1; step < lanes; step <<= 1) count += __shfl_xor_sync(ALL, count, step);
        if (count && (j & (lanes - 1)) == 0) atomicAdd(&to[j >> shift], count);
    }
    if (threadIdx.x == 0 && from[BINS]) atomicAdd(&to[BINS >> (shift + 1)], from[BINS]);
}

// Bring the counts of all tables into the last one that is in use. All threads, after a barrier and before another.
__device__ __forceinline__ void join_tables(Shared& shared) {
    const u32 last = (shared.version & ~STOP) % TABLES;
    for (u32 t = 0; t < last; ++t) add_table(shared.tables[t], shared.tables[last], shared.k[last] - shared.k[t]);
    if (threadIdx.x == OTHER_THREAD) shared.tables[last][OTHER] = shared.tables[0][OTHER];
}

// Double the block's range when there is no table left: fold everything into the first one. All threads, after a
// barrier.
__device__ __forceinline__ void start_over(Shared& shared, Range& range) {
    constexpr u32 last = TABLES - 1;
    join_tables(shared);
    const float needed = __uint_as_float(shared.needed);
    for (int k = range.version / TABLES; k < shared.k[last]; ++k) range.double_up();
    int doublings = 0;
    for (; needed > range.R; ++doublings) range.double_up();
    const int k = shared.k[last] + doublings;
    __syncthreads();
    for (int t = 0; t < (int)last; ++t)
        for (int j = threadIdx.x; j < SLOTS; j += THREADS) shared.tables[t][j] = 0;
    __syncthreads();
    add_table(shared.tables[last], shared.tables[0], doublings);
    if (threadIdx.x == 0) {
        shared.k[0] = k;
        shared.version = version_of(k, 0);
    }
    __syncthreads();
    for (int j = threadIdx.x; j < SLOTS; j += THREADS) shared.tables[last][j] = 0;
    if (threadIdx.x == OTHER_THREAD) shared.tables[last][OTHER] = 0;
    range.slots -= (range.version % TABLES) * (ROW * 4);
    range.version = version_of(k, 0);
    __syncthreads();
}

// The range of a tensor that comes without one, from its segments' maxima. `scratch` must be 0, and is again.
__device__ float base_of(const float* maxima, int first, int last, u32* scratch) {
    for (int s = first + threadIdx.x; s < last; s += blockDim.x) atomicMax(scratch, __float_as_uint(maxima[s]));
    __syncthreads();
    const float largest = __uint_as_float(*scratch);
    __syncthreads();
    if (threadIdx.x == 0) *scratch = 0;
    __syncthreads();
    return start_of(largest);
}

// The range of a block at the start of a segment; all threads. After it, all see the counters as they were set.
__device__ __forceinline__ Range range_of(const Segment& segment, State* state, float base, int k, const float* maxima,
                                          bool is_first, Shared& shared) {
    if (threadIdx.x == 0) {
        shared.k[0] = k;
        shared.version = version_of(k, 0);
    }
    if (__syncthreads_or(base == 0.0f)) {
        base = base_of(maxima, segment.first, segment.last, &shared.needed);
        // Another block either reads this or makes the same of the maxima.
        if (is_first && threadIdx.x == 0) *(volatile float*)&state->base = base;
        if (base == 0.0f) base = 1.0f;  // nothing but zeros: any range has them in bin 0
    }
    Range range = {base, __fdiv_rn((float)BINS, base), version_of(k, 0),
                   (u32)__cvta_generic_to_shared(shared.tables[0]) - 4u * BIAS, 0};
    for (int i = 0; i < k; ++i) range.double_up();
    return range;
}

template <int KIND>
__device__ __forceinline__ void add_segment(const Segment& segment, State* states, const Part* part,
                                           const float* maxima, bool is_first, Shared& shared) {
    // A step of the block is THREADS * U vectors, U of each thread; those of a warp lie side by side.
    constexpr u32 U = VECTORS, D = DEPTH, step = THREADS * U;
    const Span<KIND> span(segment);
    if (threadIdx.x == OTHER_THREAD) {  // the padding of the last words will be counted as NaN
        const u64 vectors = (span.total + 32 * U - 1) / (32 * U) * (32 * U);
        shared.others = shared.tables[0][OTHER] -= (u32)(vectors * Span<KIND>::per_vector - segment.n);
    }
    extern __shared__ __align__(128) uint4 ring[];
    const u32 ring_start = (u32)__cvta_generic_to_shared(ring + threadIdx.x);
    u32 place = ring_start;
    u32 at = (threadIdx.x & ~31u) * U;
    State* const state = states + segment.slot;
    float base; int k;
    // Not volatile: that would be one request for each thread, all for the same place.
    asm volatile("ld.global.f32 %0, [%1];" : "=f"(base) : "l"(&state->base));
    asm volatile("ld.global.u32 %0, [%1];" : "=r"(k) : "l"(part ? &part->k : &state->k));
#pragma unroll
    for (u32 d = 0; d < D; ++d) span.template start<U>(at + d * step, place + d * (step * 16));
    Range range = range_of(segment, state, base, k, maxima, is_first, shared);
    range.limit = Format<KIND>::limit(range.R);
    Found found = {0.0, 0.0, Format<KIND>::nan_word, Format<KIND>::nan_word, 0};
    bool through = false;
    for (;;) {
        while (at < span.total) {
            u32 words[4 * U];
            span.template take<U, D>(at, place, words);
            if (!fits<KIND>(words, shared, range, found)) break;
            span.template start<U>(at + D * step, place);
            tell<KIND>(words, range, found);
            at += step;
            place += step * 16;
            if (place == ring_start + D * step * 16) place = ring_start;
        }
        if (at >= span.total && !through) {
            through = true;
            Tally tally = {found.sum, found.squares, nan(), nan(), Format<KIND>::zeros(found.zeros)};
            unpack_extremes<KIND>(found.least, found.largest, tally.lo, tally.hi);
            tally.lo = fminf(tally.lo, infinity());
            tally.hi = fmaxf(tally.hi, -infinity());
            if (__any_sync(ALL, tally.lo <= tally.hi || tally.zeros)) tally = across_warp(tally);
            if ((threadIdx.x & 31) == 0) shared.tallies[threadIdx.x / 32] = tally;
        }
        if (!__syncthreads_or(at < span.total)) break;
        start_over(shared, range);
        range.limit = Format<KIND>::limit(range.R);
    }
    if (shared.version % TABLES == 0) return;
    join_tables(shared);
    __syncthreads();
}

// Ask for the start of a segment and its tensor's range, while the block is busy with something else.
__device__ __forceinline__ void prefetch_segment(const Segment& segment, const State* states) {
    const u64 bytes = segment.n * (segment.kind == FLOAT32 ? 4 : 2);
    if (threadIdx.x != 0) return;
    asm volatile("prefetch.global.L2 [%0];" :: "l"(&states[segment.slot].base));
    const u64 from = (segment.ptr + 15) & ~15ull, to = (segment.ptr + bytes) & ~15ull;
    if (to > from) prefetch(from, (u32)(to - from < PREFETCH_KIB * 1024 ? to - from : PREFETCH_KIB * 1024));
}

// Blocks of the next launch may take the place of those of this one that are through, and get ready.
__device__ __forceinline__ void allow_next_launch() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}
__device__ __forceinline__ void wait_for_last_launch() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ __forceinline__ void empty(Shared& shared) {
    for (int j = threadIdx.x; j < TABLES * ROW / 4; j += THREADS) ((uint4*)shared.tables)[j] = make_uint4(0, 0, 0, 0);
    if (threadIdx.x == 0) shared.needed = shared.pos_infs = shared.neg_infs = 0;
}

// share > 0: there is one array, of n elements from ptr on, and each block has `share` of them, the last one the rest.
// `heads`: the first segment of each block. `fresh`: the rows hold nothing yet.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
count(u64 ptr, u64 n, u64 share, u64 slot, u64 kind, const Segment* heads, const Segment* segments,
      const u32* first_of_block, State* states, const float* maxima, uint4* rows, Part* parts, u64 fresh) {
    __shared__ Shared shared;
    u32 s, end;
    Segment segment;
    if (share) {  // saves the block a look-up
        s = blockIdx.x;
        end = s + 1;
        const u64 start = s * share;
        segment = {ptr + start * (kind == FLOAT32 ? 4 : 2), share < n - start ? share : n - start, (int)slot,
                   (int)kind, 0, (int)gridDim.x};
    } else {
        end = first_of_block[blockIdx.x + 1];
        s = first_of_block[blockIdx.x];
        if (s == end) return;
        segment = heads[blockIdx.x];
    }
    // Up to here only the plan was read, which no kernel writes.
    prefetch_segment(segment, states);
    empty(shared);
    wait_for_last_launch();
    allow_next_launch();
    for (;;) {
        uint4* const row = rows + (u64)s * (ROW / 4);
        Part* const part = parts + s;
        if (!fresh)
            for (int j = threadIdx.x; j < ROW / 4; j += THREADS) ((uint4*)shared.tables[0])[j] = row[j];
        if (threadIdx.x == 0 && s + 1 < end) {
            shared.next = segments[s + 1];
            prefetch_segment(shared.next, states);
        }
        const bool is_first = s == segment.first;
        const Part* const before = fresh ? nullptr : part;
        if (segment.kind == FLOAT32) add_segment<FLOAT32>(segment, states, before, maxima, is_first, shared);
        else if (segment.kind == FLOAT16) add_segment<FLOAT16>(segment, states, before, maxima, is_first, shared);
        else add_segment<BFLOAT16>(segment, states, before, maxima, is_first, shared);
        const u32 last = shared.version % TABLES;
        for (int j = threadIdx.x; j < ROW / 4; j += THREADS) row[j] = ((uint4*)shared.tables[last])[j];
        if (threadIdx.x >= THREADS - 32) {  // the warp with the least else to do
            const u32 lane = threadIdx.x & 31;
            const Tally tally = across_warp(lane < THREADS / 32 ? shared.tallies[lane] : nothing());
            if (lane == 0) {
                Part sum = {0.0, 0.0, 0, 0, 0, infinity(), -infinity(), 0};
                if (!fresh) sum = *part;
                const u32 removed = shared.tables[last][OTHER] - shared.others;  // were counted as zeros too
                *part = {sum.sum + tally.sum, sum.squares + tally.squares, sum.zeros + tally.zeros - removed,
                         sum.pos_infs + shared.pos_infs, sum.neg_infs + shared.neg_infs,
                         fminf(sum.lo, tally.lo), fmaxf(sum.hi, tally.hi), shared.k[last]};
            }
        }
        if (++s == end) break;
        segment = shared.next;
        __syncthreads();
        empty(shared);
    }
}

// Largest finite |x| of each segment, for tensors that come without a range.
template <int KIND>
__device__ float largest_in(const Segment& segment) {
    constexpr u32 U = 4;
    const Span<KIND> span(segment);
    float largest = 0.0f;
    for (u32 start = (threadIdx.x & ~31u) * U; start < span.total; start += THREADS * U) {
        u32 words[4 * U];
        span.template load_warp<U>(start, words);
        u32 least, most;
        float lo, hi;
        extremes<KIND, false>(words, least, most);
        unpack_extremes<KIND>(least, most, lo, hi);
        if (hi == infinity() || lo == -infinity()) finite_extremes<KIND>(words, lo, hi);
        largest = fmaxf(largest, fmaxf(-lo, hi));  // passes over NaN: there was nothing
    }
    return largest;
}

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
measure(const Segment* segments, const u32* first_of_block, const State* states, float* maxima) {
    __shared__ u32 largest;
    const u32 end = first_of_block[blockIdx.x + 1];
    for (u32 s = first_of_block[blockIdx.x]; s < end; ++s) {
        const Segment segment = segments[s];
        if (states[segment.slot].base != 0.0f) continue;
        if (threadIdx.x == 0) largest = 0;
        __syncthreads();
        float mine = segment.kind == FLOAT32   ? largest_in<FLOAT32>(segment)
                     : segment.kind == FLOAT16 ? largest_in<FLOAT16>(segment)
                                               : largest_in<BFLOAT16>(segment);
        mine = across_warp(mine, Most());
        if ((threadIdx.x & 31) == 0) atomicMax(&largest, __float_as_uint(mine));
        __syncthreads();
        if (threadIdx.x == 0) maxima[s] = __uint_as_float(largest);
        __syncthreads();
    }
}

// Add what a block found at slot j of rows with `shift` doublings less than the result.
// Lanes whose slots fold into one are added up first. All lanes of a warp must call this, with consecutive j.
__device__ __forceinline__ void fold(u64* table, int j, int shift, u64 value) {
    for (int step = 1; step < 32 && step < (1 << shift); step <<= 1) value += __shfl_xor_sync(ALL, value, step);
    const int leader = (1 << min(shift, 5)) - 1;
    if (value && (j & leader) == 0) atomicAdd(&table[j >> shift], value);
}

// What is added up over the segments of a tensor.
struct Totals {
    double sum, squares;
    u64 zeros, others, pos_infs, neg_infs;
    float lo, hi;
};

__device__ Totals across_warp(Totals t) {
    t.sum = across_warp(t.sum, Add());
    t.squares = across_warp(t.squares, Add());
    t.zeros = across_warp(t.zeros, Add());
    t.others = across_warp(t.others, Add());
    t.pos_infs = across_warp(t.pos_infs, Add());
    t.neg_infs = across_warp(t.neg_infs, Add());
    t.lo = across_warp(t.lo, Least());
    t.hi = across_warp(t.hi, Most());
    return t;
}

__device__ __forceinline__ void load_column(const u32* rows, int n_rows, int j, u32 (&column)[ROWS_AT_ONCE]) {
#pragma unroll
    for (int r = 0; r < ROWS_AT_ONCE; ++r) column[r] = r < n_rows && j < SLOTS ? rows[r * ROW + j] : 0;
}

// Fold the rows of a tensor to one number of doublings and add them to its counts.
// A tensor has two tables: the counts so far are in one, the new ones are made in the other, which is all zeros.
extern "C" __global__ void __launch_bounds__(FINISH_THREADS)
finish(const Item* items, const u32* rows, const Part* parts, State* states, u64* tables) {
    constexpr int warps = FINISH_THREADS / 32;
    __shared__ Totals totals[warps];
    __shared__ int doublings, last;
    const Item item = items[blockIdx.x];
    wait_for_last_launch();
    allow_next_launch();
    State* const state = states + item.slot;
    const State before = *state;
    u64* const old_table = tables + ((u64)item.slot * 2 + before.current) * ROW;
    u64* const new_table = tables + ((u64)item.slot * 2 + (before.current ^ 1)) * ROW;
    const int n_rows = item.to - item.from;
    u32 row[ROWS_AT_ONCE];
    int shift[ROWS_AT_ONCE];
    load_column(rows + (u64)item.from * ROW, n_rows, item.column + threadIdx.x, row);
#pragma unroll
    for (int r = 0; r < ROWS_AT_ONCE; ++r) shift[r] = r < n_rows ? parts[item.from + r].k : 0;
    if (threadIdx.x == 0) doublings = before.k;
    __syncthreads();
    for (int s = item.first + threadIdx.x; s < item.last; s += FINISH_THREADS) atomicMax(&doublings, parts[s].k);
    __syncthreads();
    const int k = doublings;
#pragma unroll
    for (int r = 0; r < ROWS_AT_ONCE; ++r) shift[r] = min(k - shift[r], 12);  // then everything is in bin 0
    const bool carry = before.filled && item.from == item.first;
    for (int start = 0; start < item.columns; start += FINISH_THREADS) {
        const int j = item.column + start + threadIdx.x;
        if (start > 0) load_column(rows + (u64)item.from * ROW, n_rows, j, row);
        // Rows of a tensor mostly have the same number of doublings, or two different ones.
        for (u32 open = (1u << n_rows) - 1; open;) {
            int now = 0;
            u64 value = 0;
#pragma unroll
            for (int r = 0; r < ROWS_AT_ONCE; ++r)
                if (open & (1u << r)) now = shift[r];
#pragma unroll
            for (int r = 0; r < ROWS_AT_ONCE; ++r)
                if (shift[r] == now) {
                    value += row[r];
                    open &= ~(1u << r);
                }
            fold(new_table, j, now, value);
        }
        if (carry) fold(new_table, j, min(k - before.k, 12), j < SLOTS ? old_table[j] : 0);
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last = atomicAdd(&state->done, 1u) == (u32)item.items - 1;
    __syncthreads();
    if (!last) return;

    // The last block of this tensor: the rest of its state.
    if (before.filled)
        for (int j = threadIdx.x; j < ROW; j += FINISH_THREADS) old_table[j] = 0;
    const Totals none = {0.0, 0.0, 0, 0, 0, 0, infinity(), -infinity()};
    Totals t = none;
    for (int s = item.first + threadIdx.x; s < item.last; s += FINISH_THREADS) {
        const Part part = parts[s];
        t.sum += part.sum;
        t.squares += part.squares;
        t.zeros += part.zeros;
        t.others += rows[(u64)s * ROW + OTHER];
        t.pos_infs += part.pos_infs;
        t.neg_infs += part.neg_infs;
        t.lo = fminf(t.lo, part.lo);
        t.hi = fmaxf(t.hi, part.hi);
    }
    t = across_warp(t);
    if ((threadIdx.x & 31) == 0) totals[threadIdx.x / 32] = t;
    __syncthreads();
    if (threadIdx.x >= 32) return;
    t = across_warp(threadIdx.x < warps ? totals[threadIdx.x] : none);
    if (threadIdx.x == 0)
        *state = {before.sum + t.sum, before.squares + t.squares, before.zeros + t.zeros,
                  before.nans + t.others - t.pos_infs - t.neg_infs, before.pos_infs + t.pos_infs,
                  before.neg_infs + t.neg_infs, fminf(before.lo, t.lo), fmaxf(before.hi, t.hi), before.base, k,
                  before.current ^ 1, 0, 1, 0};
}

// Empty all tensors and give them their ranges (0: to be found). One block per tensor.
extern "C" __global__ void reset(const float* bases, State* states, u64* tables) {
    u64* const table = tables + (u64)blockIdx.x * 2 * ROW;
    for (int j = threadIdx.x; j < 2 * ROW; j += blockDim.x) table[j] = 0;
    if (threadIdx.x == 0) {
        State state = {};
        state.lo = infinity();
        state.hi = -infinity();
        state.base = bases[blockIdx.x];
        states[blockIdx.x] = state;
    }
}

// Bring the counts of all tensors together, for one copy to the host. One block per tensor.
extern "C" __global__ void gather(const State* states, const u64* tables, u64* counts) {
    const u64* const table = tables + ((u64)blockIdx.x * 2 + states[blockIdx.x].current) * ROW;
    for (int j = threadIdx.x; j < ROW; j += blockDim.x) counts[(u64)blockIdx.x * ROW + j] = table[j];
}
