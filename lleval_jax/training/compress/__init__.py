"""Many adapters of one model in one shared basis (Gabrielsson et al. 2024, arXiv:2407.00066).

    M_i = B_i A_i  ~  U core_i V'        U, V shared by all adapters (of a cluster), core_i small

stack      the adapters of a module as arrays: products of thin factors, of unit norm
joint      one basis, full cores: a Tucker-2 decomposition
diagonal   one basis, diagonal cores: a CP decomposition
separate   no shared basis: each adapter's own singular vectors, the baseline
clusters   several bases, and which adapter belongs to which
bounds     what any basis can reach at most, and a good one at least
"""
