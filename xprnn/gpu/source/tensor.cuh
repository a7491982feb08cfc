// Products of small matrices by a whole warp, d += a b with float32 sums; for sm_80 and later.
//
// Each lane holds some of the numbers. With g = lane / 4 and k = lane % 4: of the 16 by 8 sums d, d[0] and d[1] are in
// row g and columns 2k, 2k + 1, and d[2] and d[3] in row g + 8. Of a and b the lane holds what stands with each
// function.
#pragma once

#ifndef EMULATED
// a (16, 8): rows g, g + 8 of column k, then of column k + 4; b (8, 8): rows k and k + 4 of column g.
__device__ inline void multiply_tf32(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Two numbers in a word, the first one low. a (16, 16): rows g, g + 8 of columns 2k and 2k + 1, then of columns 2k + 8
// and 2k + 9; b (16, 8): rows 2k, 2k + 1 and rows 2k + 8, 2k + 9 of column g.
__device__ inline void multiply_bf16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The nearest number with 10 bits after the point, away from 0 if there are two.
__device__ inline unsigned to_tf32(float x) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

// The nearest two numbers with 7 bits after the point, the even one if there are two.
__device__ inline unsigned two_bf16(float low, float high) {
    unsigned bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}
#endif
