# The part of the build that is for CUDA, for the target that is defined after it. cuda_toolkit.py
# says where things lie, in CMAKE_CUDA_COMPILER, CMAKE_CUDA_ARCHITECTURES and these three.
set(CUDA_INCLUDES "" CACHE STRING "folders of the headers of CUDA's libraries")
set(CUDA_LIBRARIES "" CACHE STRING "cuBLAS, cuRAND, cuDNN and NCCL, as flags of the linker")
set(CUDA_RPATH "" CACHE STRING "where these are found when caffe is imported")

# Linked into the module, so that it does not need the very runtime it was built with.
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
enable_language(CUDA)

# In four units, because reading the headers takes longer than compiling a kernel. CMake's own unity
# builds know CUDA only since 3.31.
file(GLOB cuda_sources CONFIGURE_DEPENDS
     "${source}/src/caffe/layers/*.cu" "${source}/src/caffe/solvers/*.cu"
     "${source}/src/caffe/util/*.cu")
set(index 0)
foreach(cuda_source IN LISTS cuda_sources)
  math(EXPR unit "${index} % 4")
  string(APPEND unit_${unit} "#include \"${cuda_source}\"\n")
  math(EXPR index "${index} + 1")
endforeach()
set(cuda_units "")
foreach(unit RANGE 3)
  file(GENERATE OUTPUT "${generated}/unit_${unit}.cu" CONTENT "${unit_${unit}}")
  list(APPEND cuda_units "${generated}/unit_${unit}.cu")
endforeach()
file(GLOB cuda_ours CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/*.cpp")
list(APPEND sources ${cuda_units} ${cuda_ours})

set_source_files_properties(${cuda_units} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
set_source_files_properties(${cuda_ours} PROPERTIES
                            SKIP_UNITY_BUILD_INCLUSION ON COMPILE_DEFINITIONS PYCAFFE_OURS)
set_source_files_properties("${source}/src/caffe/layers/cudnn_conv_layer.cpp"
                            "${source}/src/caffe/layers/cudnn_deconv_layer.cpp" PROPERTIES
                            SKIP_UNITY_BUILD_INCLUSION ON
                            COMPILE_DEFINITIONS PYCAFFE_SHARES_WORKSPACE)
set_source_files_properties("${source}/python/caffe/_caffe.cpp" PROPERTIES
                            COMPILE_OPTIONS "-include;${CMAKE_CURRENT_LIST_DIR}/uid.h")

add_compile_definitions(USE_CUDNN USE_NCCL)
# One of them is Thrust's: since CUDA 13 it lies in CCCL's folder, which nvcc knows and g++ is told.
include_directories(${CUDA_INCLUDES})
# These are flags and not files: CMake would put a file's folder into the run path, and that can be
# the temporary folder of an isolated build.
link_libraries(${CUDA_LIBRARIES})
set(CMAKE_INSTALL_RPATH "${CUDA_RPATH}")
install(FILES "${CMAKE_CURRENT_LIST_DIR}/_cuda.py" DESTINATION .)
