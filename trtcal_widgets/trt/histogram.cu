// Histograms of |x| on the GPU, the same counts as trtcal_widgets/core/histogram.py makes on the CPU.
//
// The work of one call is cut into segments: consecutive elements of one tensor. A block owns a run of segments and
// counts each of them in shared memory, from the tensor's range on; when it meets a larger |x|, it doubles its own
// range and folds its own counts, without a word to the other blocks. It leaves the segment as a row of counts with
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
#ifndef VECTORS_32
#define VECTORS_32 4  // 16-byte loads per thread and tile, float32
#endif
#ifndef VECTORS_16
#define VECTORS_16 4  // the same for 16-bit types
#endif
#ifndef PREFETCH_TILES
#define PREFETCH_TILES 4  // tiles to ask for while the block is busy with something else; half as many of 16-bit types
#endif

constexpr int BINS = 2048;
constexpr int SLOTS = BINS + 1;   // and the edge
constexpr int OTHER = SLOTS;       // slot of NaN and infinities
constexpr int ROW = 2052;         // a row of counters, whole 16-byte vectors
constexpr int FINISH_THREADS = 512;
constexpr int ROWS_AT_ONCE = 16;  // rows that one block of `finish` adds up
constexpr u32 ALL = 0xffffffffu;

enum Kind { FLOAT32 = 0, FLOAT16 = 1, BFLOAT16 = 2 };

// The layouts are repeated as numpy dtypes in gpu_plan.py.
// n elements from ptr on; first..last are the segments of the same tensor.
struct Segment { u64 ptr, n; int slot, kind, first, last; };
// What was found in a segment besides the counts.
// Rows from..to of a tensor whose rows are first..last, and some of their columns; the tensor has `items` of these.
struct Item { int slot, first, last, from, to, column, columns, items; };
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

// No range is shorter than histogram.py's SMALLEST_RANGE, so that the factor is finite.
__device__ __forceinline__ float start_of(float largest) {
    return largest == 0.0f ? 0.0f : fmaxf(largest, __uint_as_float((127u - 116u) << 23));
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

#if __CUDA_ARCH__ >= 800
template <bool STRICT> __device__ __forceinline__ float least_of(float a, float b) {
    if (!STRICT) return fminf(a, b);
    asm("min.NaN.f32 %0, %0, %1;" : "+f"(a) : "f"(b));
    return a;
}
template <bool STRICT> __device__ __forceinline__ float largest_of(float a, float b) {
    if (!STRICT) return fmaxf(a, b);
    asm("max.NaN.f32 %0, %0, %1;" : "+f"(a) : "f"(b));
    return a;
}
#endif

// What the kernels know of an element type. A word is 4 bytes, which hold one or two values.
template <int KIND> struct Format;
template <> struct Format<FLOAT32> {
    static constexpr int per_word = 1, vectors = VECTORS_32;
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
    // Add to a count of zeros, which `zeros` reads; it is exact for as many as a thread has in a tile.
    __device__ static u32 add_zeros(u32 w, u32 so_far) {
        return __float_as_uint(__uint_as_float(so_far) + is_zero(__uint_as_float(w)));
    }
    __device__ static u32 zeros(u32 count) { return (u32)__uint_as_float(count); }
};
template <> struct Format<FLOAT16> {
    static constexpr int per_word = 2, vectors = VECTORS_16;
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
        if (STRICT) asm("min.NaN.f16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        else asm("min.f16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        return a;
    }
    template <bool STRICT> __device__ static u32 largest(u32 a, u32 b) {
        if (STRICT) asm("max.NaN.f16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        else asm("max.f16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        return a;
    }
    __device__ static u32 add_zeros(u32 w, u32 so_far) {  // both halves at once
        asm("{.reg .b32 ones; set.eq.f16x2.f16x2 ones, %1, %2; add.f16x2 %0, %0, ones;}"
            : "+r"(so_far) : "r"(w), "r"(0));
        return so_far;
    }
    __device__ static u32 zeros(u32 count) {
        float x[2];
        unpack(count, x);
        return (u32)(x[0] + x[1]);
    }
};
template <> struct Format<BFLOAT16> {
    static constexpr int per_word = 2, vectors = VECTORS_16;
    static constexpr u32 nan_word = 0x7fc07fc0u;
    __device__ static void unpack(u32 w, float* x) {
        x[0] = __uint_as_float(w << 16);
        x[1] = __uint_as_float(w & 0xffff0000u);
    }
    __device__ static u32 lone(u64 address) { return *(const unsigned short*)address | (nan_word & 0xffff0000u); }
    __device__ static u32 remove(u32& w) { return Format<FLOAT16>::remove_halves(w, 0x8000u - 0x7f80u); }
    __device__ static u32 number(u32 removed) { return Format<FLOAT16>::number(removed); }
    template <bool STRICT> __device__ static u32 least(u32 a, u32 b) {
        if (STRICT) asm("min.NaN.bf16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        else asm("min.bf16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        return a;
    }
    template <bool STRICT> __device__ static u32 largest(u32 a, u32 b) {
        if (STRICT) asm("max.NaN.bf16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        else asm("max.bf16x2 %0, %0, %1;" : "+r"(a) : "r"(b));
        return a;
    }
    __device__ static u32 add_zeros(u32 w, u32 so_far) {
        float x[2];
        unpack(w, x);
        return __float_as_uint(__uint_as_float(so_far) + is_zero(x[0]) + is_zero(x[1]));
    }
    __device__ static u32 zeros(u32 count) { return (u32)__uint_as_float(count); }
};

// Least and largest of N words of values. Strict: NaN if one of them is NaN. Otherwise NaN is passed over.
template <int KIND, bool STRICT, int N>
__device__ __forceinline__ void extremes(const u32 (&words)[N], float& lo, float& hi) {
    constexpr int P = Format<KIND>::per_word;
    float x[P];
#if __CUDA_ARCH__ >= 800
    u32 least = words[0], largest = words[0];
#pragma unroll
    for (int w = 1; w < N; ++w) {
        least = Format<KIND>::template least<STRICT>(least, words[w]);
        largest = Format<KIND>::template largest<STRICT>(largest, words[w]);
    }
    Format<KIND>::unpack(least, x);
    lo = least_of<STRICT>(x[0], x[P - 1]);
    Format<KIND>::unpack(largest, x);
    hi = largest_of<STRICT>(x[0], x[P - 1]);
#else
    lo = hi = nan();
    float poison = 0.0f;  // becomes NaN
#pragma unroll
    for (int w = 0; w < N; ++w) {
        Format<KIND>::unpack(words[w], x);
#pragma unroll
        for (int p = 0; p < P; ++p) {
            lo = fminf(lo, x[p]);
            hi = fmaxf(hi, x[p]);
            if (STRICT) poison = fmaf(x[p], 0.0f, poison);
        }
    }
    lo += poison;
#endif
}

// A segment as 16-byte vectors: the aligned ones, then each element before and after them as a vector of its own,
// padded with NaN. The padding is taken off the tally of NaN again.
template <int KIND> struct Span {
    static constexpr int per_vector = 4 * Format<KIND>::per_word, size = 16 / per_vector;
    u64 head, body;
    u32 vectors, head_n, total;

    __device__ explicit Span(const Segment& s) {
        const u64 before = ((0 - s.ptr) & 15) / size;
        head_n = (u32)(before < s.n ? before : s.n);
        head = s.ptr;
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
        const u64 tail = body + 16ull * vectors + (u64)(j - head_n) * size;
        words[0] = Format<KIND>::lone(j < head_n ? head + (u64)j * size : tail);
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
    int k;
    u32 slots;  // address of the counters in shared memory, minus 4 * BIAS

    __device__ __forceinline__ void double_up() {
        R = fminf(R * 2.0f, float_max());
        factor *= 0.5f;
    }
};

struct alignas(16) Shared {
    u32 slots[ROW];
    u32 needed;  // bits of the largest |x| that did not fit
    u32 pos_infs, neg_infs;
    float base;
    int k;
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

// Count a tile of a warp. False: some value does not fit the range, and nothing was counted.
template <int KIND, int N>
__device__ __forceinline__ bool commit(u32 (&words)[N], Shared& shared, const Range& range, Tally& tally) {
    constexpr int P = Format<KIND>::per_word;
    float lo, hi;
    extremes<KIND, true>(words, lo, hi);
    bool equal = false;
    if (__all_sync(ALL, hi <= range.R && lo >= -range.R)) {  // not so if one is NaN
        const float first = __shfl_sync(ALL, hi, 0);
        equal = __all_sync(ALL, lo == first && hi == first);
        if (equal && (threadIdx.x & 31) == 0)
            atomicAdd(&shared.slots[slot_bits(hi, range.factor) - BIAS], 32 * P * N);
    } else {
        extremes<KIND, false>(words, lo, hi);
        const bool infinite = __any_sync(ALL, hi == infinity() || lo == -infinity());
        if (infinite) finite_extremes<KIND>(words, lo, hi);
        const float largest = fmaxf(-lo, hi);
        if (__any_sync(ALL, largest > range.R)) {
            if (largest > range.R) atomicMax(&shared.needed, __float_as_uint(largest));
            return false;
        }
        if (infinite) count_infinities<KIND>(words, shared);
        forget(words);
        u32 removed = 0;
#pragma unroll
        for (int w = 0; w < N; ++w) removed += Format<KIND>::remove(words[w]);
        if (removed) {  // they will be counted as zeros
            removed = Format<KIND>::number(removed);
            atomicSub(&shared.slots[0], removed);
            atomicAdd(&shared.slots[OTHER], removed);
            tally.zeros -= removed;
        }
    }
    forget(words);
    // Sums in two chains each, so that an addition need not wait for the one before it.
    double sum[2] = {0.0, 0.0}, squares[2] = {0.0, 0.0};
    u32 zeros = 0;
#pragma unroll
    for (int w = 0; w < N; ++w) {
        float x[P];
        Format<KIND>::unpack(words[w], x);
        zeros = Format<KIND>::add_zeros(words[w], zeros);
#pragma unroll
        for (int p = 0; p < P; ++p) {
            if (!equal) bump(slot_bits(x[p], range.factor), range.slots);
            const double v = x[p];
            sum[w & 1] += v;
            squares[w & 1] = fma(v, v, squares[w & 1]);
        }
    }
    tally.sum += sum[0] + sum[1];
    tally.squares += squares[0] + squares[1];
    tally.zeros += Format<KIND>::zeros(zeros);
    tally.lo = fminf(tally.lo, lo);
    tally.hi = fmaxf(tally.hi, hi);
    return true;
}

// Fold the block's counts by `step` doublings. All threads.
__device__ __forceinline__ void fold_slots(u32* slots, int step) {
    constexpr int mine = (BINS / 2) / THREADS + 1;
    const int run = 1 << step;
    u32 sums[mine];
#pragma unroll
    for (int m = 0; m < mine; ++m) {
        const int j = threadIdx.x + m * THREADS;
        sums[m] = 0;
        if (j * run >= SLOTS) continue;
#pragma unroll 4
        for (int r = 0; r < run; ++r) {
            const int slot = j * run + ((r + j) & (run - 1));  // in an order that spreads over the banks
            sums[m] += slot < SLOTS ? slots[slot] : 0;
        }
    }
    __syncthreads();
#pragma unroll
    for (int m = 0; m < 2 * mine; ++m) {
        const int j = threadIdx.x + m * THREADS;
        if (j < SLOTS) slots[j] = m < mine ? sums[m < mine ? m : 0] : 0;
    }
    __syncthreads();
}

// Double the block's range until the value fits that some warp could not count. All threads, between barriers.
__device__ void grow(Shared& shared, Range& range) {
    const float needed = __uint_as_float(shared.needed);
    int doublings = 0;
    for (; needed > range.R; ++doublings) range.double_up();
    range.k += doublings;
    bool counted = false;
    for (int j = threadIdx.x; j < SLOTS; j += THREADS) counted |= shared.slots[j] != 0;
    if (__syncthreads_or(counted))  // not at the start of a tensor, where most growth is
        for (int left = min(doublings, 12); left > 0; left -= 4) fold_slots(shared.slots, min(left, 4));
    // (After 12 doublings, all counts are in bin 0.)
    if (threadIdx.x == 0) shared.needed = 0;
    __syncthreads();
}

template <int KIND>
__device__ __forceinline__ void add_segment(const Segment& segment, Shared& shared, Range& range, Tally& tally) {
    // A tile of the block is THREADS * U vectors, U of each thread; those of a warp lie side by side.
    constexpr u32 U = Format<KIND>::vectors, tile = THREADS * U;
    const Span<KIND> span(segment);
    const u32 last_tile = (span.total - 1) / tile * tile, of_warp = (threadIdx.x & ~31u) * U;
    // Warps for which nothing is left in the last tile sit it out.
    const u32 end = last_tile + of_warp < span.total ? last_tile + tile : last_tile;
    u32 words[4 * U];
    bool loaded = false;
    for (u32 start = 0;;) {
        while (start < end) {
            if (!loaded) span.template load_warp<U>(start + of_warp, words);
            loaded = true;
            // Stop too when another warp needs a larger range; the loads go on meanwhile.
            if (__any_sync(ALL, *(volatile u32*)&shared.needed)) break;
            if (!commit<KIND>(words, shared, range, tally)) break;
            loaded = false;
            start += tile;
        }
        if (!__syncthreads_or(start < end)) break;
        grow(shared, range);
    }
    // The padding was counted as NaN.
    if (threadIdx.x == 0) {
        const u64 vectors = (span.total + 32 * U - 1) / (32 * U) * (32 * U);
        shared.slots[OTHER] -= (u32)(vectors * Span<KIND>::per_vector - segment.n);
    }
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

__device__ __forceinline__ void prefetch(const void* address) {
    asm volatile("prefetch.global.L2 [%0];" :: "l"(address));
}

// Ask for the start of a segment and its tensor's range, while the block is busy with something else.
__device__ __forceinline__ void prefetch_segment(const Segment& segment, const State* states) {
    const u64 bytes = segment.n * (segment.kind == FLOAT32 ? 4 : 2);
    const u32 vectors = segment.kind == FLOAT32 ? PREFETCH_TILES * VECTORS_32 : PREFETCH_TILES / 2 * VECTORS_16;
    const u32 start = vectors * (THREADS * 16);
    for (u32 offset = threadIdx.x * 128; offset < start && offset < bytes; offset += THREADS * 128)
        prefetch((const char*)segment.ptr + offset);
    if (threadIdx.x == 0) prefetch(&states[segment.slot].base);
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

// `heads`: the first segment of each block. `fresh`: the rows hold nothing yet.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_PER_SM)
count(const Segment* heads, const Segment* segments, const u32* first_of_block, State* states, const float* maxima,
      uint4* rows, Part* parts, u64 fresh) {
    __shared__ Shared shared;
    uint4* const slots = (uint4*)shared.slots;
    const u32 end = first_of_block[blockIdx.x + 1];
    u32 s = first_of_block[blockIdx.x];
    if (s == end) return;
    Segment segment = heads[blockIdx.x];
    // Up to here only the plan was read, which no kernel writes.
    prefetch_segment(segment, states);
    wait_for_last_launch();
    allow_next_launch();
    for (;;) {
        const Segment next = s + 1 < end ? segments[s + 1] : segment;
        uint4* const row = rows + (u64)s * (ROW / 4);
        for (int j = threadIdx.x; j < ROW / 4; j += THREADS) slots[j] = fresh ? make_uint4(0, 0, 0, 0) : row[j];
        State* const state = states + segment.slot;
        if (threadIdx.x == 0) {
            shared.base = *(volatile float*)&state->base;
            shared.k = fresh ? state->k : parts[s].k;
            shared.needed = shared.pos_infs = shared.neg_infs = 0;
        }
        __syncthreads();
        if (s + 1 < end) prefetch_segment(next, states);
        float base = shared.base;
        if (base == 0.0f) {
            base = base_of(maxima, segment.first, segment.last, &shared.needed);
            // Another block either reads this or makes the same of the maxima.
            if (s == segment.first && threadIdx.x == 0) *(volatile float*)&state->base = base;
            if (base == 0.0f) base = 1.0f;  // nothing but zeros: any range has them in bin 0
        }
        Range range = {base, (float)(BINS / (double)base), shared.k,
                       (u32)__cvta_generic_to_shared(shared.slots) - 4u * BIAS};
        for (int k = 0; k < range.k; ++k) range.double_up();
        Tally tally = nothing();
        if (segment.kind == FLOAT32) add_segment<FLOAT32>(segment, shared, range, tally);
        else if (segment.kind == FLOAT16) add_segment<FLOAT16>(segment, shared, range, tally);
        else add_segment<BFLOAT16>(segment, shared, range, tally);
        if (__any_sync(ALL, tally.lo <= tally.hi)) tally = across_warp(tally);
        if ((threadIdx.x & 31) == 0) shared.tallies[threadIdx.x / 32] = tally;
        __syncthreads();
        for (int j = threadIdx.x; j < ROW / 4; j += THREADS) row[j] = slots[j];
        if (threadIdx.x < 32) {
            tally = across_warp(threadIdx.x < THREADS / 32 ? shared.tallies[threadIdx.x] : nothing());
            if (threadIdx.x == 0) {
                Part part = {0.0, 0.0, 0, 0, 0, infinity(), -infinity(), 0};
                if (!fresh) part = parts[s];
                parts[s] = {part.sum + tally.sum, part.squares + tally.squares, part.zeros + tally.zeros,
                            part.pos_infs + shared.pos_infs, part.neg_infs + shared.neg_infs,
                            fminf(part.lo, tally.lo), fmaxf(part.hi, tally.hi), range.k};
            }
        }
        if (++s == end) break;
        segment = next;
        __syncthreads();
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
        float lo, hi;
        extremes<KIND, false>(words, lo, hi);
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
