// SPDX-License-Identifier: Apache-2.0
// The 16 values that codes of four bits stand for, by code.
#pragma once

namespace retort {

// IQ4_NL and IQ4_XS: kvalues_iq4nl of ggml-common.h.
inline constexpr float kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                         1,    13,   25,  38,  53,  69,  89,  113};

// MXFP4: twice the values of FP4 (E2M1).
inline constexpr float kMxfp4Levels[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// NF4: QLoRA (arXiv 2305.14314), appendix E.
inline constexpr float kNf4Levels[16] = {-1.0f,
                                         -0.6961928009986877f,
                                         -0.5250730514526367f,
                                         -0.39491748809814453f,
                                         -0.28444138169288635f,
                                         -0.18477343022823334f,
                                         -0.09105003625154495f,
                                         0.0f,
                                         0.07958029955625534f,
                                         0.16093020141124725f,
                                         0.24611230194568634f,
                                         0.33791524171829224f,
                                         0.44070982933044434f,
                                         0.5626170039176941f,
                                         0.7229568362236023f,
                                         1.0f};

// FP4: bitsandbytes'.
inline constexpr float kFp4Levels[16] = {0.0f,
                                         0.0052083334885537624f,
                                         0.6666666865348816f,
                                         1.0f,
                                         0.3333333432674408f,
                                         0.5f,
                                         0.1666666716337204f,
                                         0.25f,
                                         0.0f,
                                         -0.0052083334885537624f,
                                         -0.6666666865348816f,
                                         -1.0f,
                                         -0.3333333432674408f,
                                         -0.5f,
                                         -0.1666666716337204f,
                                         -0.25f};

}  // namespace retort
