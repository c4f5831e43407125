// Tensor cores: a warp multiplies 16 rows by 8 columns at a time, the values rounded to TF32 (10 bits of mantissa,
// depth 8) or bfloat16 (7 bits, depth 16), the sums in float32. They need compute capability 8.0. The PTX manual
// defines which lane holds which value in mma.m16n8k8 and mma.m16n8k16: with q = lane/4 and t = lane%4, sums are rows q
// and q+8 of columns 2t, 2t+1.
#pragma once
#include "product.h"

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

// roundTF32 rounds to the nearest TF32, halves away from zero.
DEVICE unsigned roundTF32(float x) {
#ifdef __CUDACC__
	unsigned bits;
	asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
	return bits;
#else
	return (__float_as_uint(x) + 0x1000) & ~0x1fffu;
#endif
}

// packBFloat16 rounds two values to the nearest bfloat16, halves to even.
DEVICE unsigned packBFloat16(float low, float high) {
#ifdef __CUDACC__
	unsigned bits;
	asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
	return bits;
#else
	auto half = [](float x) {
		unsigned bits = __float_as_uint(x);
		return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
	};
	return half(low) | half(high) << 16;
#endif
}

#ifdef __CUDACC__
DEVICE void mmaTF32(float (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
	asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
		: "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
		: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

DEVICE void mmaBFloat16(float (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
	asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
		: "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
		: "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#else
// mma is the plain variant: the lanes exchange their values, then each computes its four sums. value extracts value i,
// of perRegister, from a register.
template <int perRegister, class Value>
void mma(float (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2], Value value) {
	host::Warp &w = host::ownWarp();
	for (int i = 0; i < 4; i++)
		w.words[host::lane()][i] = a[i];
	for (int i = 0; i < 2; i++)
		w.words[host::lane()][4 + i] = b[i];
	host::waitForWarp();
	int q = host::lane() / 4, t = host::lane() % 4;
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < 8 * perRegister; k++) {
			int half = k / (4 * perRegister), from = k / perRegister % 4, column = 2 * t + i % 2;
			float x = value(w.words[4 * q + from][i / 2 + 2 * half], k % perRegister);
			float y = value(w.words[4 * column + from][4 + half], k % perRegister);
			sum[i] += x * y;
		}
	host::waitForWarp();
}

inline void mmaTF32(float (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
	mma<1>(sum, a, b, [](unsigned bits, int) { return __uint_as_float(bits); });
}

inline void mmaBFloat16(float (&sum)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
	mma<2>(sum, a, b, [](unsigned bits, int i) { return __uint_as_float(bits >> 16 * i << 16); });
}
#endif

// WarpTile is a warp's 32 rows and columns: two by four of the tensor cores' tiles.
template <int Height, int Width> struct WarpTile {
	float sum[2][4][4] = {};
	DEVICE int row() const { return threadIdx.x / warp % (Height / 32) * 32 + threadIdx.x % warp / 4; }
	DEVICE int column() const { return threadIdx.x / warp / (Height / 32) * 32; }
	template <class Finish> DEVICE void write(const Finish &f) const {
		typename Finish::Column columns[8];
		UNROLL for (int j = 0; j < 8; j++)
			columns[j] = f.column(column() + j / 2 * 8 + 2 * (threadIdx.x % 4) + j % 2);
		UNROLL for (int i = 0; i < 4; i++) {
			auto r = f.row(row() + 8 * i);
			UNROLL for (int j = 0; j < 8; j++)
				f.put(r, columns[j], sum[i / 2][j / 2][i % 2 * 2 + j % 2]);
		}
	}
};

template <int Height, int Width> struct TF32 : WarpTile<Height, Width> {
	DEVICE void add(Slab<Height> &a, Slab<Width> &b) {
		int q = threadIdx.x % warp / 4, t = threadIdx.x % 4;
		UNROLL for (int from = 0; from < slab; from += 8) {
			int k = from + t;
			unsigned x[2][4], y[4][2];
			UNROLL for (int i = 0; i < 2; i++)
				UNROLL for (int e = 0; e < 4; e++)
					x[i][e] = roundTF32(a.at(k + e / 2 * 4, this->row() + 16 * i + e % 2 * 8));
			UNROLL for (int j = 0; j < 4; j++)
				UNROLL for (int e = 0; e < 2; e++)
					y[j][e] = roundTF32(b.at(k + e * 4, this->column() + 8 * j + q));
			UNROLL for (int i = 0; i < 2; i++)
				UNROLL for (int j = 0; j < 4; j++)
					mmaTF32(this->sum[i][j], x[i], y[j]);
		}
	}
};

template <int Height, int Width> struct BFloat16 : WarpTile<Height, Width> {
	DEVICE void add(Slab<Height> &a, Slab<Width> &b) {
		int q = threadIdx.x % warp / 4, t = threadIdx.x % 4;
		unsigned x[2][4], y[4][2];
		UNROLL for (int i = 0; i < 2; i++)
			UNROLL for (int e = 0; e < 4; e++) {
				int k = 2 * t + e / 2 * 8, r = this->row() + 16 * i + e % 2 * 8;
				x[i][e] = packBFloat16(a.at(k, r), a.at(k + 1, r));
			}
		UNROLL for (int j = 0; j < 4; j++)
			UNROLL for (int e = 0; e < 2; e++) {
				int k = 2 * t + e * 8, c = this->column() + 8 * j + q;
				y[j][e] = packBFloat16(b.at(k, c), b.at(k + 1, c));
			}
		UNROLL for (int i = 0; i < 2; i++)
			UNROLL for (int j = 0; j < 4; j++)
				mmaBFloat16(this->sum[i][j], x[i], y[j]);
	}
};

#endif
