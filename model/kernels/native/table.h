// The table of the path that includes this file, from the functions of rows.h, attention.h and a linear_*.h.
#pragma once

#define OW_KERNEL_TABLE                                                          \
  {                                                                              \
    {quantize<1>, quantize<2>}, rms_norm,                                        \
        {{multiply<OW_NVFP4, 1>, multiply<OW_NVFP4, 2>},                         \
         {multiply<OW_MXFP4, 1>, multiply<OW_MXFP4, 2>}},                        \
        swiglu, rotate, {store_bf16_kv, store_int8_kv}, {attend<Bf16Kv>, attend<Int8Kv>}, merge, finish \
  }
